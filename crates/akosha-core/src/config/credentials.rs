//! Whether keys for the bucket can be found where a sync looks for them. Nothing is contacted, so
//! those that a machine's role brings are not known of.

use super::loader::Loader;
use super::{CloudLocation, Environment};

/// Variables of the provider that stand for credentials: those of each row together do.
/// <https://docs.rs/object_store/latest/object_store/aws/struct.AmazonS3Builder.html#method.from_env>
const VARIABLES: [&[&str]; 6] = [
    &["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"],
    &["AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_ROLE_ARN"],
    &["AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"],
    &[
        "AWS_CONTAINER_CREDENTIALS_FULL_URI",
        "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
    ],
    &["AWS_METADATA_ENDPOINT"],
    &["AWS_SKIP_SIGNATURE"],
];

/// Returns whether a variable is one of the provider that is looked at.
pub(super) fn is_looked_at(variable: &str) -> bool {
    VARIABLES.iter().any(|row| row.contains(&variable))
}

/// Returns a warning where a bucket is used and no keys for it are found.
pub(super) fn missing(loader: &Loader<'_>) -> Option<String> {
    let config = &loader.config;
    // Of one key without the other a warning of its own tells.
    let has_key = config.cloud_access_key.is_some() || config.cloud_secret_key.is_some();
    let is_s3 = matches!(config.cloud_location(), Some(CloudLocation::S3 { .. }));
    if !is_s3 || !config.should_use_cloud() || has_key || are_in(loader.env) {
        return None;
    }
    Some(
        "no credentials for `cloud_bucket` are found: set `cloud_access_key` and \
         `cloud_secret_key`, or the variables `AWS_ACCESS_KEY_ID` and `AWS_SECRET_ACCESS_KEY` \
         (`~/.aws` is not read); a machine with a role of its own needs none"
            .to_owned(),
    )
}

fn are_in(env: &Environment) -> bool {
    let is_set = |name: &&str| {
        env.variables
            .get(*name)
            .is_some_and(|text| !text.is_empty())
    };
    VARIABLES.iter().any(|row| row.iter().all(is_set))
}
