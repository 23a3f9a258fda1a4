//! Buckets of Google Cloud Storage by its own interface.

use std::path::Path;
use std::sync::Arc;

use object_store::StaticCredentialProvider;
use object_store::gcp::{GcpCredential, GoogleCloudStorageBuilder, GoogleConfigKey};

use super::environment::Environment;
use super::{Bucket, Credentials, Endpoint};
use crate::vault::provider::{Protocol, Provider};
use crate::vault::{VaultError, VaultOptions};

/// Host of the service.
const HOST: &str = "storage.googleapis.com";

/// Variables that stand for credentials or name their file.
const VARIABLES: [&str; 6] = [
    "GOOGLE_SERVICE_ACCOUNT",
    "GOOGLE_SERVICE_ACCOUNT_PATH",
    "SERVICE_ACCOUNT",
    "GOOGLE_SERVICE_ACCOUNT_KEY",
    "GOOGLE_APPLICATION_CREDENTIALS",
    "GOOGLE_BEARER_TOKEN",
];

/// File that `gcloud auth application-default login` writes, below the user's folder.
const GCLOUD: &str = ".config/gcloud/application_default_credentials.json";

/// Opens a bucket.
pub(in crate::vault) fn open(
    options: &VaultOptions,
    bucket: &str,
    environment: &Environment,
) -> Result<Bucket, VaultError> {
    if super::key_pair(options)?.is_some() {
        return Err(VaultError::Config {
            setting: "cloud_access_key",
            message: "is no credential of `gs://`, which takes a service account".into(),
            hint: "remove both keys and name the account's file by \
                   `GOOGLE_APPLICATION_CREDENTIALS`; HMAC keys work with `cloud_bucket = \
                   \"s3://…\"` and `cloud_endpoint = \"https://storage.googleapis.com\"`"
                .into(),
        });
    }
    let named = match options.endpoint.as_str() {
        "" => None,
        url => Some(Endpoint::parse(url)?),
    };
    let is_named = named.is_some();
    let endpoint = named.unwrap_or_else(|| Endpoint::of_host(HOST.into()));
    endpoint.check_exposure(options.allow_insecure_http)?;

    let mut builder = GoogleCloudStorageBuilder::new();
    if let Some(path) = environment.get("SERVICE_ACCOUNT") {
        builder = builder.with_service_account_path(path);
    }
    for (name, value) in environment.settings("GOOGLE_") {
        match name.parse() {
            // Variables of other programs, and where the bucket lies, which is said already.
            Err(_) | Ok(GoogleConfigKey::Bucket | GoogleConfigKey::BaseUrl) => {}
            Ok(key) => builder = builder.with_config(key, value),
        }
    }
    let credentials = credentials(environment, &endpoint);
    if credentials == Credentials::None {
        let nobody = GcpCredential {
            bearer: "anonymous".into(),
        };
        builder = builder.with_credentials(Arc::new(StaticCredentialProvider::new(nobody)));
    }
    let store = builder
        .with_bucket_name(bucket)
        .with_base_url(&endpoint.url())
        .with_client_options(super::client_options())
        .with_http_connector(super::transport(options)?)
        .with_retry(super::no_retries())
        .build()
        .map_err(|error| unopened(&error))?;
    Ok(Bucket {
        store: Arc::new(store),
        name: bucket.to_owned(),
        provider: Provider::of(Protocol::Gcs, &endpoint.host, endpoint.port),
        endpoint,
        is_named,
        credentials,
    })
}

fn credentials(environment: &Environment, endpoint: &Endpoint) -> Credentials {
    if let Some(name) = environment.first(&VARIABLES) {
        return Credentials::Variable(name);
    }
    let of_gcloud = if cfg!(windows) {
        environment
            .get("APPDATA")
            .map(|folder| Path::new(folder).join("gcloud/application_default_credentials.json"))
    } else {
        environment.home.as_ref().map(|home| home.join(GCLOUD))
    };
    match of_gcloud.filter(|path| path.exists()) {
        Some(path) => Credentials::File(path.display().to_string()),
        None if endpoint.is_loopback() => Credentials::None,
        None => Credentials::Machine,
    }
}

/// Returns that the account's file does not open a bucket.
fn unopened(error: &object_store::Error) -> VaultError {
    let unopened = super::unopened(error);
    match unopened {
        VaultError::Config {
            setting, message, ..
        } => VaultError::Config {
            setting,
            message,
            hint: "give the key file of a service account by `GOOGLE_APPLICATION_CREDENTIALS`, \
                   or log in: `gcloud auth application-default login`"
                .into(),
        },
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use akosha_core::config::CloudLocation;

    use super::*;

    fn options(endpoint: &str) -> VaultOptions {
        crate::tls::install_provider();
        VaultOptions {
            endpoint: endpoint.into(),
            ..VaultOptions::new(CloudLocation::Gcs {
                bucket: "memories".into(),
                prefix: String::new(),
            })
        }
    }

    #[test]
    fn hmac_keys_are_refused_with_where_they_work() {
        let options = VaultOptions {
            access_key: Some("key".into()),
            secret_key: Some("secret".into()),
            ..options("")
        };
        let error = open(&options, "memories", &Environment::default()).unwrap_err();
        assert!(
            error
                .hint()
                .unwrap()
                .contains("GOOGLE_APPLICATION_CREDENTIALS")
        );
    }

    #[test]
    fn an_account_is_named_by_a_variable() {
        let variables = [("GOOGLE_SERVICE_ACCOUNT_KEY".to_owned(), "{".to_owned())];
        let environment = Environment {
            variables: variables.into(),
            home: None,
        };
        let error = open(&options(""), "memories", &environment).unwrap_err();
        assert!(matches!(error, VaultError::Config { .. }), "{error}");
        let endpoint = Endpoint::of_host(HOST.into());
        let found = credentials(&environment, &endpoint);
        assert_eq!(found, Credentials::Variable("GOOGLE_SERVICE_ACCOUNT_KEY"));
    }

    #[test]
    fn credentials_that_are_none_are_not_shown() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("account.json");
        let path = file.to_str().unwrap();
        let text = "\"{S3CRET}\"";
        for (name, value, content, class) in [
            (
                "GOOGLE_SERVICE_ACCOUNT_KEY",
                text,
                "",
                "JSON of another kind",
            ),
            ("GOOGLE_SERVICE_ACCOUNT_KEY", "{S3CRET", "", "no JSON"),
            (
                "GOOGLE_SERVICE_ACCOUNT_KEY",
                r#"{"private_key": "S3CRET", "private_key_id": "S3CRET", "client_email": "S3CRET"}"#,
                "",
                "malformed",
            ),
            ("GOOGLE_SERVICE_ACCOUNT", path, text, "JSON of another kind"),
            (
                "GOOGLE_APPLICATION_CREDENTIALS",
                path,
                text,
                "JSON of another kind",
            ),
            ("GOOGLE_SERVICE_ACCOUNT", "/S3CRET", "", "does not exist"),
        ] {
            std::fs::write(&file, content).unwrap();
            let environment = Environment {
                variables: [(name.to_owned(), value.to_owned())].into(),
                home: None,
            };
            let error = open(&options(""), "memories", &environment).unwrap_err();
            let shown = format!("{error} {error:?}");
            assert!(!shown.contains("S3CRET"), "{shown}");
            assert!(shown.contains(class), "{name} {value}: {shown}");
        }
    }

    #[test]
    fn an_emulator_wants_no_account() {
        let nothing = Environment::default();
        let bucket = open(&options("http://127.0.0.1:4443"), "memories", &nothing).unwrap();
        assert_eq!(bucket.credentials, Credentials::None);
        let bucket = open(&options(""), "memories", &nothing).unwrap();
        assert_eq!(bucket.credentials, Credentials::Machine);
        assert!(!bucket.is_named);
    }
}
