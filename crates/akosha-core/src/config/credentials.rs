//! Whether credentials for the bucket can be found where a sync looks for them. Nothing is
//! contacted, so those that a machine in the provider's cloud has are not known of.

use std::path::{Path, PathBuf};

use super::loader::Loader;
use super::{CloudLocation, Environment};

/// Where a provider's credentials are looked for beside the configuration.
struct Places {
    /// Variables that stand for credentials: those of each row together do.
    variables: &'static [&'static [&'static str]],
    /// Variables that name files of credentials, with the file below the user's folder that is
    /// read where the variable is not set.
    files: &'static [(&'static str, &'static str)],
    /// What to do where nothing is found.
    hint: &'static str,
}

/// <https://docs.rs/object_store/latest/object_store/aws/struct.AmazonS3Builder.html#method.from_env>
const S3: Places = Places {
    variables: &[
        &["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"],
        &["AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_ROLE_ARN"],
        &["AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"],
        &[
            "AWS_CONTAINER_CREDENTIALS_FULL_URI",
            "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
        ],
        &["AWS_METADATA_ENDPOINT"],
        &["AWS_SKIP_SIGNATURE"],
    ],
    files: &[
        ("AWS_SHARED_CREDENTIALS_FILE", ".aws/credentials"),
        ("AWS_CONFIG_FILE", ".aws/config"),
    ],
    hint: "set `cloud_access_key` and `cloud_secret_key`, or the variables `AWS_ACCESS_KEY_ID` \
           and `AWS_SECRET_ACCESS_KEY`, or a profile in `~/.aws`",
};

const GCS: Places = Places {
    variables: &[
        &["GOOGLE_SERVICE_ACCOUNT"],
        &["GOOGLE_SERVICE_ACCOUNT_PATH"],
        &["SERVICE_ACCOUNT"],
        &["GOOGLE_SERVICE_ACCOUNT_KEY"],
        &["GOOGLE_BEARER_TOKEN"],
    ],
    files: &[(
        "GOOGLE_APPLICATION_CREDENTIALS",
        if cfg!(windows) {
            "AppData/Roaming/gcloud/application_default_credentials.json"
        } else {
            ".config/gcloud/application_default_credentials.json"
        },
    )],
    hint: "name the key file of a service account by `GOOGLE_APPLICATION_CREDENTIALS`, or log in: \
           `gcloud auth application-default login`",
};

const AZURE: Places = Places {
    variables: &[
        &["AZURE_STORAGE_ACCOUNT_KEY"],
        &["AZURE_STORAGE_ACCESS_KEY"],
        &["AZURE_STORAGE_MASTER_KEY"],
        &["AZURE_STORAGE_KEY"],
        &["AZURE_STORAGE_SAS_TOKEN"],
        &["AZURE_STORAGE_SAS_KEY"],
        &["AZURE_STORAGE_TOKEN"],
        &["AZURE_CLIENT_SECRET"],
        &["AZURE_STORAGE_CLIENT_SECRET"],
        &["AZURE_FEDERATED_TOKEN_FILE"],
        &["AZURE_USE_AZURE_CLI"],
        &["IDENTITY_ENDPOINT"],
        &["AZURE_MSI_ENDPOINT"],
    ],
    files: &[],
    hint: "set `cloud_access_key` to the storage account's name and `cloud_secret_key` to its key \
           or to a shared access signature, or the variables `AZURE_STORAGE_ACCOUNT_NAME` and \
           `AZURE_STORAGE_ACCOUNT_KEY`",
};

const ALL: [&Places; 3] = [&S3, &GCS, &AZURE];

/// Returns whether a variable is one of a provider that is looked at.
pub(super) fn is_looked_at(variable: &str) -> bool {
    ALL.iter().any(|places| {
        places.variables.iter().any(|row| row.contains(&variable))
            || places.files.iter().any(|(name, _)| *name == variable)
    })
}

/// Returns the files of credentials that exist in the user's folder, below it.
pub(super) fn files_of(home: Option<&Path>) -> Vec<PathBuf> {
    let files = ALL.iter().flat_map(|places| places.files);
    let paths = files.map(|(_, path)| PathBuf::from(path));
    paths
        .filter(|path| home.is_some_and(|home| home.join(path).exists()))
        .collect()
}

/// Returns a warning where a bucket is used and no credentials for it are found.
pub(super) fn missing(loader: &Loader<'_>) -> Option<String> {
    let config = &loader.config;
    // Of one key without the other a warning of its own tells.
    let has_key = config.cloud_access_key.is_some() || config.cloud_secret_key.is_some();
    let places = match config.cloud_location()? {
        CloudLocation::S3 { .. } => S3,
        CloudLocation::Azure { .. } => AZURE,
        // An emulator wants none.
        CloudLocation::Gcs { .. } if config.cloud_endpoint.is_empty() => GCS,
        CloudLocation::Gcs { .. } | CloudLocation::Folder(_) => return None,
    };
    if !config.should_use_cloud() || has_key || places.are_in(loader.env) {
        return None;
    }
    Some(format!(
        "no credentials for `cloud_bucket` are found: {}; a machine with a role of its own needs \
         none",
        places.hint
    ))
}

impl Places {
    fn are_in(&self, env: &Environment) -> bool {
        let is_set = |name: &&str| {
            env.variables
                .get(*name)
                .is_some_and(|text| !text.is_empty())
        };
        self.variables.iter().any(|row| row.iter().all(is_set))
            || self.files.iter().any(|(name, path)| {
                is_set(name)
                    || env
                        .credential_files
                        .iter()
                        .any(|found| found == Path::new(path))
            })
    }
}
