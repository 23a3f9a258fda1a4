//! Filters as a client gives them.

use akosha_core::{Invalid, SystemId, check_tag, time};
use akosha_store::Filter;
use chrono::{DateTime, Utc};

/// The filters of a search or a list, not yet checked.
#[derive(Debug, Default)]
pub(super) struct FilterInput {
    pub(super) system_id: Option<String>,
    pub(super) project: Option<String>,
    pub(super) kind: Option<String>,
    pub(super) tags: Option<Vec<String>>,
    pub(super) since: Option<String>,
    pub(super) until: Option<String>,
}

impl FilterInput {
    /// Checks the filters; `prefix` stands before the names in errors, such as `filters.`.
    ///
    /// # Errors
    /// Names the first filter that breaks a rule.
    pub(super) fn check(self, prefix: &str) -> Result<Filter, Invalid> {
        let named =
            |error: Invalid, name: &str| Invalid::new(format!("{prefix}{name}"), error.reason);
        let tags = self.tags.unwrap_or_default();
        for tag in &tags {
            check_tag(tag).map_err(|error| named(error, "tags"))?;
        }
        Ok(Filter {
            system_id: self
                .system_id
                .map(SystemId::try_from)
                .transpose()
                .map_err(|error| named(error, "system_id"))?,
            project: self.project,
            kind: self.kind,
            tags,
            since: moment(self.since.as_deref()).map_err(|error| named(error, "since"))?,
            until: moment(self.until.as_deref()).map_err(|error| named(error, "until"))?,
        })
    }
}

fn moment(text: Option<&str>) -> Result<Option<DateTime<Utc>>, Invalid> {
    text.map(time::parse).transpose()
}
