//! Containers of Azure Blob Storage.

use std::sync::Arc;

use object_store::azure::{AzureConfigKey, MicrosoftAzureBuilder};

use super::environment::Environment;
use super::{Bucket, Credentials, Endpoint};
use crate::vault::provider::{Protocol, Provider};
use crate::vault::{VaultError, VaultOptions};

/// What follows the account's name in a host of Azure, in any of its clouds.
const HOSTS: &str = "blob.";

/// Variables that name the account.
const ACCOUNTS: [&str; 2] = ["AZURE_STORAGE_ACCOUNT_NAME", "AZURE_STORAGE_ACCOUNT"];

/// Variables that stand for credentials; those of a role come last.
const VARIABLES: [&str; 13] = [
    "AZURE_STORAGE_TOKEN",
    "AZURE_STORAGE_ACCOUNT_KEY",
    "AZURE_STORAGE_ACCESS_KEY",
    "AZURE_STORAGE_KEY",
    "AZURE_STORAGE_MASTER_KEY",
    "AZURE_FEDERATED_TOKEN_FILE",
    "AZURE_STORAGE_CLIENT_SECRET",
    "AZURE_CLIENT_SECRET",
    "AZURE_STORAGE_SAS_KEY",
    "AZURE_STORAGE_SAS_TOKEN",
    "AZURE_USE_AZURE_CLI",
    "AZURE_MSI_ENDPOINT",
    "IDENTITY_ENDPOINT",
];

/// Opens a container. The account is `cloud_access_key`, else named by the environment or by the
/// endpoint.
pub(in crate::vault) fn open(
    options: &VaultOptions,
    container: &str,
    environment: &Environment,
) -> Result<Bucket, VaultError> {
    let configured = super::key_pair(options)?;
    let named = match options.endpoint.as_str() {
        "" => None,
        url => Some(Endpoint::parse(url)?),
    };
    let account = configured
        .map(|(account, _)| account)
        .or_else(|| environment.get(environment.first(&ACCOUNTS)?))
        .or_else(|| named.as_ref().and_then(account_of))
        .ok_or_else(|| VaultError::Config {
            setting: "cloud_access_key",
            message: "names no storage account, which `az://` needs".into(),
            hint: "set `cloud_access_key` to the account's name and `cloud_secret_key` to its key \
                   or to a shared access signature; or set `AZURE_STORAGE_ACCOUNT_NAME` and \
                   `AZURE_STORAGE_ACCOUNT_KEY`"
                .into(),
        })?
        .to_owned();
    let endpoint = endpoint(named, &account);
    endpoint.check_exposure(options.allow_insecure_http)?;

    let mut builder = MicrosoftAzureBuilder::new();
    let credentials = match configured {
        Some((_, secret)) if secret.contains("sig=") => {
            builder = builder.with_config(AzureConfigKey::SasKey, secret);
            Credentials::Configured
        }
        Some((_, key)) => {
            builder = builder.with_access_key(key);
            Credentials::Configured
        }
        None => {
            for (name, value) in environment.settings("AZURE_") {
                match name.parse() {
                    // Variables of other programs, and where the container lies.
                    Err(_)
                    | Ok(
                        AzureConfigKey::ContainerName
                        | AzureConfigKey::Endpoint
                        | AzureConfigKey::UseEmulator,
                    ) => {}
                    Ok(key) => builder = builder.with_config(key, value),
                }
            }
            // As Azure's own program names it.
            if let Some(key) = environment.get("AZURE_STORAGE_KEY") {
                builder = builder.with_access_key(key);
            }
            if let Some(url) = environment.get("IDENTITY_ENDPOINT") {
                builder = builder.with_msi_endpoint(url);
            }
            let found = environment.first(&VARIABLES);
            found.map_or(Credentials::Machine, Credentials::Variable)
        }
    };
    let store = builder
        .with_account(account)
        .with_container_name(container)
        .with_endpoint(endpoint.url())
        .with_client_options(super::client_options())
        .with_http_connector(super::transport(options)?)
        .with_retry(super::no_retries())
        .build()
        .map_err(|error| unopened(&error))?;
    Ok(Bucket {
        store: Arc::new(store),
        name: container.to_owned(),
        provider: Provider::of(Protocol::Azure, &endpoint.host, endpoint.port),
        endpoint,
        // Containers of two accounts may have one name.
        is_named: true,
        credentials,
    })
}

/// Returns the account that an endpoint names: the first label of a host of Azure, else the path,
/// as the emulator has it.
fn account_of(endpoint: &Endpoint) -> Option<&str> {
    match endpoint.host.split_once('.') {
        Some((account, rest)) if rest.starts_with(HOSTS) => Some(account),
        _ => endpoint.path.strip_prefix('/'),
    }
}

/// Returns where the account lies: in the path at an emulator, which has an address or a host
/// without a dot. Any other host is the account's own.
fn endpoint(named: Option<Endpoint>, account: &str) -> Endpoint {
    let Some(endpoint) = named else {
        return Endpoint::of_host(format!("{account}.blob.core.windows.net"));
    };
    let is_emulator =
        endpoint.is_loopback() || endpoint.is_address() || !endpoint.host.contains('.');
    if account_of(&endpoint).is_some() || !is_emulator {
        return endpoint;
    }
    Endpoint {
        path: format!("/{account}"),
        ..endpoint
    }
}

/// Returns that the credentials open no container.
fn unopened(error: &object_store::Error) -> VaultError {
    let text = error.to_string();
    if !text.contains("Access Key") && !text.contains("SAS") {
        return super::unopened(error);
    }
    VaultError::Config {
        setting: "cloud_bucket",
        message: "cannot be opened: the account's key or shared access signature is malformed"
            .into(),
        hint: "copy the account's key again: `az storage account keys list`".into(),
    }
}

#[cfg(test)]
mod tests {
    use akosha_core::config::CloudLocation;

    use super::*;

    fn options(endpoint: &str, keys: Option<(&str, &str)>) -> VaultOptions {
        crate::tls::install_provider();
        VaultOptions {
            endpoint: endpoint.into(),
            access_key: keys.map(|(key, _)| key.into()),
            secret_key: keys.map(|(_, secret)| secret.into()),
            ..VaultOptions::new(CloudLocation::Azure {
                container: "memories".into(),
                prefix: String::new(),
            })
        }
    }

    #[test]
    fn the_account_is_found_where_it_is_named() {
        let of_variable = Environment {
            variables: [("AZURE_STORAGE_ACCOUNT_NAME".into(), "there".into())].into(),
            home: None,
        };
        let nothing = Environment::default();
        let keys = Some(("here", "a2V5"));
        for (endpoint, keys, environment, url) in [
            ("", keys, &nothing, "https://here.blob.core.windows.net"),
            ("", keys, &of_variable, "https://here.blob.core.windows.net"),
            (
                "",
                None,
                &of_variable,
                "https://there.blob.core.windows.net",
            ),
            (
                "https://x.blob.core.chinacloudapi.cn",
                None,
                &nothing,
                "https://x.blob.core.chinacloudapi.cn",
            ),
            (
                "http://127.0.0.1:10000",
                keys,
                &nothing,
                "http://127.0.0.1:10000/here",
            ),
            (
                "https://azurite:10000",
                keys,
                &nothing,
                "https://azurite:10000/here",
            ),
            (
                "https://memories.example.org",
                keys,
                &nothing,
                "https://memories.example.org",
            ),
            (
                "http://127.0.0.1:10000/devstoreaccount1",
                None,
                &nothing,
                "http://127.0.0.1:10000/devstoreaccount1",
            ),
        ] {
            let bucket = open(&options(endpoint, keys), "memories", environment).unwrap();
            assert_eq!(bucket.endpoint.url(), url);
        }
        let error = open(&options("", None), "memories", &nothing).unwrap_err();
        assert!(error.hint().unwrap().contains("AZURE_STORAGE_ACCOUNT_NAME"));
    }

    #[test]
    fn a_key_that_is_none_is_not_shown() {
        let keys = Some(("account", "not base64!"));
        let error = open(&options("", keys), "memories", &Environment::default()).unwrap_err();
        assert!(!error.to_string().contains("base64!"), "{error}");
        let signature = Some(("account", "?sv=2024-01-01&sig=abc%3D"));
        assert!(open(&options("", signature), "memories", &Environment::default()).is_ok());
    }
}
