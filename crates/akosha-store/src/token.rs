//! Tokens by which clients use this node over HTTP. Of the secret itself only its SHA-256 is here.

use akosha_core::{Invalid, Scope, SystemId};
use chrono::{DateTime, TimeDelta, Utc};
use rusqlite::{OptionalExtension, Row, params};

use crate::{Store, StoreError, row};

/// Longest name in characters.
const MAX_NAME: usize = 100;

/// A token to be kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewToken {
    /// What people call it; no two that are not revoked share one.
    pub name: String,
    /// SHA-256 of the secret.
    pub hash: [u8; 32],
    /// What it allows.
    pub scope: Scope,
    /// Whose memories alone it may write.
    pub system_id: Option<SystemId>,
    /// When it ends by itself.
    pub expires_at: Option<DateTime<Utc>>,
}

/// A token that is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    /// Its id, a ULID.
    pub id: String,
    /// What people call it.
    pub name: String,
    /// SHA-256 of the secret.
    pub hash: [u8; 32],
    /// What it allows.
    pub scope: Scope,
    /// Whose memories alone it may write.
    pub system_id: Option<SystemId>,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it ends by itself.
    pub expires_at: Option<DateTime<Utc>>,
    /// When it was revoked.
    pub revoked_at: Option<DateTime<Utc>>,
    /// The day on which it was used last, at midnight.
    pub last_used: Option<DateTime<Utc>>,
}

/// Whether a token may be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It may.
    Good,
    /// Its time is over.
    Expired,
    /// It was taken back.
    Revoked,
}

impl Standing {
    /// Returns the name: `good`, `expired`, `revoked`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Expired => "expired",
            Self::Revoked => "revoked",
        }
    }
}

impl Token {
    /// Returns whether the token may be used at `now`.
    pub fn standing(&self, now: DateTime<Utc>) -> Standing {
        if self.revoked_at.is_some() {
            Standing::Revoked
        } else if self.expires_at.is_some_and(|end| end <= now) {
            Standing::Expired
        } else {
            Standing::Good
        }
    }
}

const COLUMNS: &str =
    "token_id, name, hash, scope, system_id, created_at, expires_at, revoked_at, last_used";

impl Store {
    /// Keeps a token.
    ///
    /// # Errors
    /// Fails where the name breaks its rule or another token that is not revoked has it.
    pub fn create_token(&self, token: NewToken) -> Result<Token, StoreError> {
        check_name(&token.name)?;
        let created = Token {
            id: self.sources().ulid(),
            name: token.name,
            hash: token.hash,
            scope: token.scope,
            system_id: token.system_id,
            created_at: self.now(),
            expires_at: token.expires_at,
            revoked_at: None,
            last_used: None,
        };
        // What names a token is tried as an id first.
        if created.name.len() == 26 && created.name.bytes().all(|it| it.is_ascii_alphanumeric()) {
            let reason = format!("is `{}`, which has the form of an id", created.name);
            return Err(Invalid::new("name", reason).into());
        }
        self.db().write(|db| {
            let exists = db
                .prepare_cached("SELECT 1 FROM tokens WHERE name = ?1 AND revoked_at IS NULL")?
                .exists([&created.name])?;
            if exists {
                let reason = format!("is `{}`, which another token is called", created.name);
                return Err(Invalid::new("name", reason).into());
            }
            db.execute(
                "INSERT INTO tokens (token_id, name, hash, scope, system_id, created_at, \
                 expires_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
                params![
                    created.id,
                    created.name,
                    created.hash,
                    created.scope.as_str(),
                    created.system_id.as_ref().map(SystemId::as_str),
                    created.created_at.timestamp_micros(),
                    created.expires_at.map(|end| end.timestamp_micros()),
                ],
            )?;
            Ok(())
        })?;
        Ok(created)
    }

    /// Returns every token, those that may not be used any more included, oldest first.
    pub fn tokens(&self) -> Result<Vec<Token>, StoreError> {
        self.db().read(|db| {
            let mut statement = db.prepare_cached(&format!(
                "SELECT {COLUMNS} FROM tokens ORDER BY created_at, token_id"
            ))?;
            let rows = statement.query_and_then([], read)?;
            rows.collect()
        })
    }

    /// Takes the token of that id, else of that name, back; `None` where there is none that could be.
    pub fn revoke_token(&self, name_or_id: &str) -> Result<Option<Token>, StoreError> {
        let now = self.now().timestamp_micros();
        self.db().write(|db| {
            for column in ["token_id", "name"] {
                let sql = format!(
                    "UPDATE tokens SET revoked_at = ?2 \
                     WHERE {column} = ?1 AND revoked_at IS NULL RETURNING {COLUMNS}"
                );
                let mut statement = db.prepare_cached(&sql)?;
                let mut rows = statement.query(params![name_or_id, now])?;
                let revoked = rows.next()?.map(read).transpose()?;
                // The statement is only done when there are no more rows.
                while rows.next()?.is_some() {}
                if revoked.is_some() {
                    return Ok(revoked);
                }
            }
            Ok(None)
        })
    }

    /// Removes tokens that may not be used any more, and returns how many.
    pub fn prune_tokens(&self) -> Result<u64, StoreError> {
        let now = self.now().timestamp_micros();
        self.db().write(|db| {
            let removed = db.execute(
                "DELETE FROM tokens WHERE revoked_at IS NOT NULL OR expires_at <= ?1",
                [now],
            )?;
            Ok(removed as u64)
        })
    }

    /// Notes that a token was used today. Writes once a day.
    pub fn note_token_use(&self, id: &str) -> Result<(), StoreError> {
        let today = midnight(self.now()).timestamp_micros();
        let known = self.db().read(|db| {
            let mut statement =
                db.prepare_cached("SELECT 1 FROM tokens WHERE token_id = ?1 AND last_used >= ?2")?;
            let found = statement.query_row(params![id, today], |_| Ok(()));
            Ok(found.optional()?.is_some())
        })?;
        if known {
            return Ok(());
        }
        self.db().write(|db| {
            db.execute(
                "UPDATE tokens SET last_used = ?2 WHERE token_id = ?1",
                params![id, today],
            )?;
            Ok(())
        })
    }
}

/// Returns the begin of the day.
fn midnight(now: DateTime<Utc>) -> DateTime<Utc> {
    let second = now.timestamp().rem_euclid(86_400);
    let of_day =
        TimeDelta::seconds(second) + TimeDelta::nanoseconds(now.timestamp_subsec_nanos().into());
    now - of_day
}

fn check_name(name: &str) -> Result<(), Invalid> {
    let length = name.chars().count();
    let fits = (1..=MAX_NAME).contains(&length)
        && name.trim() == name
        && !name.chars().any(char::is_control);
    if fits {
        return Ok(());
    }
    let rule = format!(
        "must have 1 to {MAX_NAME} characters, none of them a control character, and no white \
         space at its ends"
    );
    Err(Invalid::new("name", rule))
}

fn read(row: &Row<'_>) -> Result<Token, StoreError> {
    let time = |column: usize| -> Result<Option<DateTime<Utc>>, StoreError> {
        let micros: Option<i64> = row.get(column)?;
        micros.map(row::from_micros).transpose()
    };
    let system_id: Option<String> = row.get(4)?;
    let system_id = system_id.map(SystemId::try_from).transpose();
    Ok(Token {
        id: row.get(0)?,
        name: row.get(1)?,
        hash: row.get(2)?,
        scope: row.get::<_, String>(3)?.parse().map_err(row::damaged)?,
        system_id: system_id.map_err(row::damaged)?,
        created_at: row::time(row, 5)?,
        expires_at: time(6)?,
        revoked_at: time(7)?,
        last_used: time(8)?,
    })
}
