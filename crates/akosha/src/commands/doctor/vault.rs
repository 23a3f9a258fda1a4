//! Whether the methods can be reached, and whether the vault takes and keeps what it is given.

use akosha_sync::manifest::MAX_CLOCK_SKEW;
use akosha_sync::{Examination, SyncStatus, Syncer};
use chrono::TimeDelta;

use super::Checks;

/// Looks at the methods, and at the vault where it can be reached.
pub(super) async fn check(syncer: &Syncer, status: &SyncStatus, checks: &mut Checks) {
    reach(status, checks);
    credentials(syncer, status, checks);
    for warning in &status.vault.warnings {
        let hint = "give every machine a `system_id` of its own: `akosha config show`";
        checks.warn("vault", warning.clone(), hint);
    }
    let cloud = status
        .methods
        .iter()
        .find(|method| method.method == "cloud");
    if status.cloud_configured && cloud.is_some_and(|cloud| cloud.available) {
        match syncer.examine_vault().await {
            Ok(examination) => vault(&examination, checks),
            Err(error) => checks.fail("vault", error.to_string(), error.hint()),
        }
    }
}

fn reach(status: &SyncStatus, checks: &mut Checks) {
    const NAME: &str = "reach";
    let used = |method: &str| match method {
        "cloud" => status.should_use_cloud,
        _ => status.should_use_http,
    };
    let any = status.methods.iter().any(|method| method.available);
    if !status.cloud_configured {
        let hint = "name one, for example a folder: `akosha config init`";
        checks.warn(NAME, "no vault is set", hint);
    }
    for method in status.methods.iter().filter(|method| used(method.method)) {
        let name = method.method;
        match &method.reason {
            _ if method.available => checks.ok(NAME, format!("{name} answers")),
            reason => {
                let reason = reason.as_deref().unwrap_or("no answer");
                let message = format!("{name} cannot be reached: {reason}");
                // The other one can take over, or nothing is set at all.
                if any || !status.cloud_configured {
                    checks.warn(NAME, message, "see `akosha status`");
                } else {
                    let hint = "check the network and `akosha config show`".to_owned();
                    checks.fail(NAME, message, Some(hint));
                }
            }
        }
    }
}

/// Says where the credentials of a bucket come from. Nothing is asked for any.
fn credentials(syncer: &Syncer, status: &SyncStatus, checks: &mut Checks) {
    const NAME: &str = "credentials";
    let (Some(provider), Some(source)) = (status.vault.provider, &status.vault.credentials) else {
        return;
    };
    let message = format!("{provider}: {source}");
    if status.vault.has_credentials {
        checks.ok(NAME, message);
    } else if syncer.config().credentials_warning.is_none() {
        // That warning says the same.
        checks.warn(NAME, message, "see `docs/providers.md`");
    }
}

fn vault(found: &Examination, checks: &mut Checks) {
    const NAME: &str = "conditional writes";
    match &found.refused {
        None => checks.ok("access", "the vault can be read and listed"),
        Some(error) => checks.fail("access", error.to_string(), error.hint()),
    }
    clock(found.clock_ahead, checks);
    match found.conditional_writes {
        Some(true) => checks.ok(NAME, "two machines that write at once notice each other"),
        Some(false) => checks.warn(
            NAME,
            "the storage has none: two machines that write at the same instant may not notice \
             each other",
            "give every machine a `system_id` of its own: `akosha config show`",
        ),
        None if found.refused.is_some() => {}
        None => checks.note(
            NAME,
            "not tried: nothing was pushed from here",
            "the first push finds out: `akosha sync`",
        ),
    }
}

fn clock(ahead: Option<TimeDelta>, checks: &mut Checks) {
    const NAME: &str = "clock";
    let Some(ahead) = ahead else {
        checks.note(
            NAME,
            "the storage does not tell its time",
            "compare this machine's clock with another one",
        );
        return;
    };
    let seconds = ahead.num_seconds();
    let (off, side) = (
        seconds.unsigned_abs(),
        if seconds < 0 { "behind" } else { "ahead of" },
    );
    if ahead.abs() <= MAX_CLOCK_SKEW {
        checks.ok(NAME, format!("{off} s {side} the storage's"));
        return;
    }
    let harm = if seconds < 0 {
        "uploads of others are set aside here as made in the future"
    } else {
        "other machines set aside what is pushed from here as made in the future"
    };
    checks.warn(
        NAME,
        format!("{off} s {side} the storage's; {harm}"),
        "set this machine's clock, best by network time",
    );
}
