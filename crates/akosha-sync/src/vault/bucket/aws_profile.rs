//! The profile in AWS's own files, `~/.aws/credentials` and `~/.aws/config`: static keys, region
//! and endpoint. The format:
//! <https://docs.aws.amazon.com/sdkref/latest/guide/file-format.html>.

use std::fmt;
use std::path::{Path, PathBuf};

use ini::{Ini, ParseOption, Properties};

use super::environment::Environment;
use crate::vault::VaultError;

/// Settings of a profile that lead to keys by a login, a role or a program.
const INDIRECT: [&str; 6] = [
    "sso_session",
    "sso_start_url",
    "login_session",
    "role_arn",
    "credential_process",
    "web_identity_token_file",
];

/// Static keys.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Keys {
    pub(super) key_id: String,
    pub(super) secret_key: String,
    pub(super) token: Option<String>,
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Keys")
    }
}

/// What a profile says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Profile {
    pub(super) name: String,
    pub(super) keys: Option<Keys>,
    pub(super) region: Option<String>,
    pub(super) endpoint: Option<String>,
    /// How it leads to keys, where that is not supported.
    indirect: Option<&'static str>,
}

impl Profile {
    /// Reads the profile that `AWS_PROFILE` names, else `default`, which may be missing.
    ///
    /// # Errors
    /// Fails where a file cannot be read or the named profile is in none.
    pub(super) fn read(environment: &Environment) -> Result<Self, VaultError> {
        let named = environment
            .get("AWS_PROFILE")
            .or_else(|| environment.get("AWS_DEFAULT_PROFILE"));
        let name = named.unwrap_or("default");
        let credentials = file(environment, "AWS_SHARED_CREDENTIALS_FILE", "credentials")?;
        let config = file(environment, "AWS_CONFIG_FILE", "config")?;
        let in_config = match name {
            "default" => name.to_owned(),
            name => format!("profile {name}"),
        };
        // Where both have a key, the file of credentials counts.
        let sections: Vec<&Properties> = [
            credentials
                .as_ref()
                .and_then(|file| file.section(Some(name))),
            config
                .as_ref()
                .and_then(|file| file.section(Some(in_config.as_str()))),
        ]
        .into_iter()
        .flatten()
        .collect();
        if sections.is_empty() && named.is_some() {
            return Err(VaultError::Config {
                setting: "AWS_PROFILE",
                message: format!("names the profile `{name}`, which AWS's files do not have"),
                hint: "see those that they have: `aws configure list-profiles`".into(),
            });
        }
        let get = |key: &str| {
            let found = sections.iter().find_map(|section| section.get(key));
            found.map(value).filter(|value| !value.is_empty())
        };
        let keys = match (get("aws_access_key_id"), get("aws_secret_access_key")) {
            (Some(key_id), Some(secret_key)) => Some(Keys {
                key_id: key_id.to_owned(),
                secret_key: secret_key.to_owned(),
                token: get("aws_session_token").map(str::to_owned),
            }),
            _ => None,
        };
        Ok(Self {
            name: name.to_owned(),
            keys,
            region: get("region").map(str::to_owned),
            endpoint: get("endpoint_url").map(str::to_owned),
            indirect: INDIRECT.into_iter().find(|key| get(key).is_some()),
        })
    }

    /// Fails where the profile leads to keys in a way that is not supported.
    ///
    /// # Errors
    /// Names the setting, and how keys come of it.
    pub(super) fn check_supported(&self) -> Result<(), VaultError> {
        let (Some(setting), None) = (self.indirect, &self.keys) else {
            return Ok(());
        };
        let name = &self.name;
        Err(VaultError::Config {
            setting: "AWS_PROFILE",
            message: format!(
                "is or defaults to `{name}`, whose keys come by `{setting}`, which is not \
                 supported"
            ),
            hint: format!(
                "let AWS's program give the keys: `eval \"$(aws configure export-credentials \
                 --profile {name} --format env)\"`"
            ),
        })
    }
}

/// Reads the file that a variable names, else the one in the user's folder, which may be missing.
fn file(
    environment: &Environment,
    variable: &'static str,
    name: &str,
) -> Result<Option<Ini>, VaultError> {
    let unreadable = |path: &Path, reason: String| VaultError::Config {
        setting: variable,
        message: format!("is or defaults to `{}`, which {reason}", path.display()),
        hint: format!("correct the file, or name another one by `{variable}`"),
    };
    let named = environment.get(variable).map(PathBuf::from);
    let in_home = || Some(environment.home.as_ref()?.join(".aws").join(name));
    let Some(path) = named.or_else(in_home) else {
        return Ok(None);
    };
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(unreadable(&path, format!("cannot be read: {error}"))),
    };
    let options = ParseOption {
        enabled_quote: false,
        enabled_escape: false,
        // Settings below a setting, such as those of `s3 =`, are none of the profile's own.
        enabled_indented_mutiline_value: true,
        ..ParseOption::default()
    };
    // The parser's message may quote the line, and the line may be a secret.
    Ini::load_from_str_opt(&text, options)
        .map(Some)
        .map_err(|error| unreadable(&path, format!("is wrong in line {}", error.line)))
}

/// Returns a value without the comment behind it.
fn value(text: &str) -> &str {
    let comment = [" #", " ;", "\t#", "\t;"]
        .iter()
        .filter_map(|sign| text.find(sign));
    let end = comment.min().unwrap_or(text.len());
    text.get(..end).unwrap_or(text).trim()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads files in a folder of a user.
    fn read(
        credentials: Option<&str>,
        config: Option<&str>,
        variables: &[(&str, &str)],
    ) -> Result<Profile, VaultError> {
        let home = tempfile::tempdir().unwrap();
        let aws = home.path().join(".aws");
        std::fs::create_dir(&aws).unwrap();
        for (name, text) in [("credentials", credentials), ("config", config)] {
            if let Some(text) = text {
                std::fs::write(aws.join(name), text).unwrap();
            }
        }
        let variables = variables.iter();
        Profile::read(&Environment {
            variables: variables
                .map(|(name, value)| ((*name).into(), (*value).into()))
                .collect(),
            home: Some(home.path().to_owned()),
        })
    }

    const CREDENTIALS: &str = "\
# a comment
[default]
aws_access_key_id = AKIADEFAULT
aws_secret_access_key = a/b+c=d#e ; a comment

[work]
aws_access_key_id=AKIAWORK
aws_secret_access_key=w
aws_session_token = t==
";

    const CONFIG: &str = "\
[default]
region = eu-central-1
s3 =
    max_concurrent_requests = 20
    endpoint_url = https://not.this.one
output = json

[profile work]
region = us-west-2
endpoint_url = https://s3.example.org
aws_access_key_id = AKIAOTHER

[profile sso]
sso_session = corp
region = us-east-1

[sso-session corp]
sso_start_url = https://example.awsapps.com/start
";

    #[test]
    fn keys_region_and_endpoint_are_read() {
        let default = read(Some(CREDENTIALS), Some(CONFIG), &[]).unwrap();
        let keys = default.keys.unwrap();
        assert_eq!(keys.key_id, "AKIADEFAULT");
        assert_eq!((keys.secret_key.as_str(), keys.token), ("a/b+c=d#e", None));
        assert_eq!(default.region.as_deref(), Some("eu-central-1"));
        assert_eq!(default.endpoint, None);

        let work = read(Some(CREDENTIALS), Some(CONFIG), &[("AWS_PROFILE", "work")]).unwrap();
        let keys = work.keys.unwrap();
        assert_eq!(
            (keys.key_id.as_str(), keys.secret_key.as_str()),
            ("AKIAWORK", "w")
        );
        assert_eq!(keys.token.as_deref(), Some("t=="));
        assert_eq!(work.region.as_deref(), Some("us-west-2"));
        assert_eq!(work.endpoint.as_deref(), Some("https://s3.example.org"));
    }

    #[test]
    fn files_are_named_or_missing() {
        assert_eq!(read(None, None, &[]).unwrap().keys, None);
        let other = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(
            other.path(),
            "[default]\naws_access_key_id=X\naws_secret_access_key=Y",
        )
        .unwrap();
        let path = other.path().to_str().unwrap();
        let named = [("AWS_SHARED_CREDENTIALS_FILE", path)];
        let profile = read(Some(CREDENTIALS), None, &named).unwrap();
        assert_eq!(profile.keys.unwrap().key_id, "X");
    }

    #[test]
    fn what_is_not_supported_is_named_with_what_works() {
        let sso = read(Some(CREDENTIALS), Some(CONFIG), &[("AWS_PROFILE", "sso")]).unwrap();
        assert_eq!(sso.keys, None);
        let error = sso.check_supported().unwrap_err();
        assert!(error.to_string().contains("`sso_session`"), "{error}");
        let hint = error.hint().unwrap();
        assert!(hint.contains("export-credentials --profile sso"), "{hint}");

        let role = "[default]\nrole_arn = x\naws_access_key_id = A\naws_secret_access_key = B\n";
        assert!(
            read(None, Some(role), &[])
                .unwrap()
                .check_supported()
                .is_ok()
        );
    }

    #[test]
    fn a_profile_that_is_not_there_is_named() {
        let error = read(Some(CREDENTIALS), None, &[("AWS_PROFILE", "home")]).unwrap_err();
        assert!(error.to_string().contains("`home`"), "{error}");
    }

    #[test]
    fn a_damaged_file_does_not_show_its_lines() {
        let error = read(Some("[default]\nS3CRET\n[x\n"), None, &[]).unwrap_err();
        assert!(!error.to_string().contains("S3CRET"), "{error}");
    }
}
