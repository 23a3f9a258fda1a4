//! The keys of a home: the current one, which new uploads are made with, and older ones, which
//! still read.

use std::path::PathBuf;
use std::sync::Arc;

use akosha_store::Home;
use chrono::{DateTime, Utc};

use super::{KeyError, KeyId, MasterKey, Phrase, PublicKey, Sealer, file};

/// A key of a home.
#[derive(Debug, Clone)]
pub struct HeldKey {
    master: MasterKey,
    sealer: Sealer,
    created_at: DateTime<Utc>,
}

impl HeldKey {
    pub(super) fn new(master: MasterKey, sealer: Sealer, created_at: DateTime<Utc>) -> Self {
        Self {
            master,
            sealer,
            created_at,
        }
    }

    fn of(master: MasterKey, created_at: DateTime<Utc>) -> Result<Self, KeyError> {
        let sealer = Sealer::new(&master)?;
        Ok(Self::new(master, sealer, created_at))
    }

    /// Returns its id.
    pub fn key_id(&self) -> KeyId {
        self.sealer.key_id()
    }

    /// Returns the public half of its signing key.
    pub fn public_key(&self) -> PublicKey {
        self.sealer.public_key()
    }

    /// Returns when it was made, or brought in by its phrase.
    pub fn created_at(&self) -> DateTime<Utc> {
        self.created_at
    }

    /// Returns its recovery phrase.
    pub fn phrase(&self) -> Phrase {
        Phrase::of(&self.master)
    }

    /// Returns what uses it.
    pub fn sealer(&self) -> &Sealer {
        &self.sealer
    }

    pub(super) fn master(&self) -> &MasterKey {
        &self.master
    }
}

/// The keys of a home; the first is the current one. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct KeyRing {
    keys: Arc<Vec<HeldKey>>,
}

/// What an import did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Brought {
    /// Keys that were not there before.
    pub new: Vec<KeyId>,
    /// Keys that were.
    pub known: Vec<KeyId>,
    /// The key that new uploads are made with now.
    pub current: KeyId,
}

impl KeyRing {
    /// Returns the path of a home's key file.
    pub fn path(home: &Home) -> PathBuf {
        file::path(home)
    }

    /// Reads the keys of a home; there are none where there is no file.
    ///
    /// # Errors
    /// Fails where the file is damaged, cannot be read, or others may read it.
    pub fn load(home: &Home) -> Result<Self, KeyError> {
        file::read(home)
    }

    /// Makes the first key of a home.
    ///
    /// # Errors
    /// Fails where there is one already, and where the home cannot be written.
    pub fn create(home: &Home, now: DateTime<Utc>) -> Result<HeldKey, KeyError> {
        file::change(home, |ring| {
            if let Some(current) = ring.current() {
                let key_id = current.key_id();
                return Err(KeyError::Exists { key_id });
            }
            ring.make(now)
        })
    }

    /// Makes another key of a home the current one. Those before still read.
    ///
    /// # Errors
    /// Fails where there is none yet, and where the home cannot be written.
    pub fn rotate(home: &Home, now: DateTime<Utc>) -> Result<HeldKey, KeyError> {
        file::change(home, |ring| {
            if ring.current().is_none() {
                return Err(KeyError::None);
            }
            ring.make(now)
        })
    }

    /// Brings in what another machine has: the text of its key file, or a recovery phrase. Where
    /// the home has a key, that one stays the current one unless `make_current` is set.
    ///
    /// # Errors
    /// Fails where the text is neither, and where the home cannot be written.
    pub fn import(
        home: &Home,
        text: &str,
        make_current: bool,
        now: DateTime<Utc>,
    ) -> Result<Brought, KeyError> {
        let brought = if text.trim_start().starts_with('{') {
            file::parse(text.trim().as_bytes(), "what was given")?
        } else {
            let mut ring = Self::default();
            ring.push(HeldKey::of(Phrase::parse(text)?, now)?);
            ring
        };
        file::change(home, |ring| {
            let mut report = Brought {
                new: Vec::new(),
                known: Vec::new(),
                current: brought.current().ok_or(KeyError::None)?.key_id(),
            };
            for held in brought.keys() {
                let id = held.key_id();
                if ring.find(id).is_some() {
                    report.known.push(id);
                } else {
                    ring.push(held.clone());
                    report.new.push(id);
                }
            }
            if make_current {
                ring.put_first(report.current);
            }
            report.current = ring.current().ok_or(KeyError::None)?.key_id();
            Ok(report)
        })
    }

    /// Returns the key that new uploads are made with.
    pub fn current(&self) -> Option<&HeldKey> {
        self.keys.first()
    }

    /// Returns the key of that id.
    pub fn find(&self, key_id: KeyId) -> Option<&HeldKey> {
        self.keys.iter().find(|held| held.key_id() == key_id)
    }

    /// Returns all keys, the current one first.
    pub fn keys(&self) -> &[HeldKey] {
        &self.keys
    }

    pub(super) fn push(&mut self, key: HeldKey) {
        Arc::make_mut(&mut self.keys).push(key);
    }

    fn make(&mut self, now: DateTime<Utc>) -> Result<HeldKey, KeyError> {
        let held = HeldKey::of(MasterKey::generate()?, now)?;
        Arc::make_mut(&mut self.keys).insert(0, held.clone());
        Ok(held)
    }

    fn put_first(&mut self, key_id: KeyId) {
        Arc::make_mut(&mut self.keys).sort_by_key(|held| held.key_id() != key_id);
    }
}
