//! Buckets of Amazon S3 and of services that speak its protocol.

use std::sync::Arc;

use object_store::StaticCredentialProvider;
use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey, AwsCredential};

use super::aws_profile::Profile;
use super::environment::Environment;
use super::{Bucket, Credentials, Endpoint};
use crate::vault::provider::{Protocol, Provider, Region};
use crate::vault::{VaultError, VaultOptions};

/// Variables that name an endpoint.
const ENDPOINTS: [&str; 3] = ["AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT"];

/// Variables that name a region.
const REGIONS: [&str; 2] = ["AWS_REGION", "AWS_DEFAULT_REGION"];

/// Variables that give a machine credentials that are asked for when they are needed.
const ASKED_FOR: [&str; 4] = [
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "AWS_METADATA_ENDPOINT",
];

/// Opens a bucket. Credentials are those of the configuration, else of the environment, else of
/// the profile in AWS's files, else what the machine has.
pub(in crate::vault) fn open(
    options: &VaultOptions,
    bucket: &str,
    environment: &Environment,
) -> Result<Bucket, VaultError> {
    let (keys, credentials, profile) = credentials(options, environment)?;
    let profile = match profile {
        Some(profile) => profile,
        // Keys were found elsewhere; what the profile says beside them is not worth a failure.
        None => Profile::read(environment).unwrap_or_else(|error| {
            tracing::debug!(%error, "no region or endpoint is taken from the AWS profile");
            Profile::default()
        }),
    };
    let named = named_endpoint(options, environment, &profile)?;
    let is_named = named.is_some();
    let of_amazon = Provider::of(Protocol::S3, ".amazonaws.com", 443);
    let provider = named.as_ref().map_or(of_amazon, |endpoint| {
        Provider::of(Protocol::S3, &endpoint.host, endpoint.port)
    });
    let region = region(options, environment, &profile, provider, named.as_ref());
    let endpoint = named.unwrap_or_else(|| Endpoint::of_host(format!("s3.{region}.amazonaws.com")));
    endpoint.check_exposure(options.allow_insecure_http)?;

    let mut builder = AmazonS3Builder::new();
    for (name, value) in environment.settings("AWS_") {
        match name.parse() {
            Ok(AmazonS3ConfigKey::Checksum) if !provider.takes_checksums => {}
            Ok(key) => builder = builder.with_config(key, value),
            // Variables of other programs.
            Err(_) => {}
        }
    }
    if let Some(keys) = keys {
        builder = builder.with_credentials(Arc::new(StaticCredentialProvider::new(keys)));
    }
    if is_named {
        builder = builder
            .with_config(AmazonS3ConfigKey::S3Endpoint, endpoint.url())
            .with_virtual_hosted_style_request(false);
    }
    let store = builder
        .with_bucket_name(bucket)
        .with_region(region)
        .with_client_options(super::client_options())
        .with_http_connector(super::transport(options)?)
        // Single deletions are all there are, and not every service knows the other request.
        .with_disable_bulk_delete(true)
        .with_retry(super::no_retries())
        .build()
        .map_err(|error| super::unopened(&error))?;
    Ok(Bucket {
        store: Arc::new(store),
        name: bucket.to_owned(),
        endpoint,
        is_named,
        provider,
        credentials,
    })
}

/// Returns the keys, where they are known before they are used, with where they come from; and
/// the profile, where keys were looked for in it.
fn credentials(
    options: &VaultOptions,
    environment: &Environment,
) -> Result<(Option<AwsCredential>, Credentials, Option<Profile>), VaultError> {
    let configured = super::key_pair(options)?;
    let variable = environment.first(&["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"]);
    if let Some((key_id, secret_key)) = configured {
        let keys = AwsCredential {
            key_id: key_id.to_owned(),
            secret_key: secret_key.to_owned(),
            // A session token of the environment belongs to other keys.
            token: None,
        };
        return Ok((Some(keys), Credentials::Configured, None));
    }
    let unsigned = environment
        .get("AWS_SKIP_SIGNATURE")
        .map(|_| "AWS_SKIP_SIGNATURE");
    if let Some(name) = variable.or(unsigned) {
        return Ok((None, Credentials::Variable(name), None));
    }
    let asked_for = environment.first(&ASKED_FOR);
    let profile = Profile::read(environment)?;
    if let Some(keys) = &profile.keys {
        let keys = AwsCredential {
            key_id: keys.key_id.clone(),
            secret_key: keys.secret_key.clone(),
            token: keys.token.clone(),
        };
        let source = Credentials::Profile(profile.name.clone());
        return Ok((Some(keys), source, Some(profile)));
    }
    if asked_for.is_none() {
        profile.check_supported()?;
    }
    let source = asked_for.map_or(Credentials::Machine, Credentials::Variable);
    Ok((None, source, Some(profile)))
}

fn named_endpoint(
    options: &VaultOptions,
    environment: &Environment,
    profile: &Profile,
) -> Result<Option<Endpoint>, VaultError> {
    let url = match options.endpoint.as_str() {
        "" => environment
            .first(&ENDPOINTS)
            .and_then(|name| environment.get(name))
            .or(profile.endpoint.as_deref()),
        url => Some(url),
    };
    url.map(Endpoint::parse).transpose()
}

/// Returns the region: the configured one, else that of the host, the environment, the profile or
/// the provider's default. A provider with one region alone has that.
fn region(
    options: &VaultOptions,
    environment: &Environment,
    profile: &Profile,
    provider: &Provider,
    endpoint: Option<&Endpoint>,
) -> String {
    let of_host = || provider.region_of(&endpoint?.host);
    let of_variable = || environment.get(environment.first(&REGIONS)?);
    let region = match (options.region.as_str(), provider.region) {
        ("" | "auto", Region::OfHost(otherwise) | Region::Otherwise(otherwise)) => of_host()
            .or_else(of_variable)
            .or(profile.region.as_deref())
            .unwrap_or(otherwise),
        ("" | "auto", Region::Fixed(region)) | (region, _) => region,
    };
    region.to_owned()
}

#[cfg(test)]
mod tests {
    use akosha_core::config::CloudLocation;

    use super::*;

    fn options() -> VaultOptions {
        crate::tls::install_provider();
        VaultOptions::new(CloudLocation::S3 {
            bucket: "memories".into(),
            prefix: String::new(),
        })
    }

    fn configured() -> VaultOptions {
        VaultOptions {
            access_key: Some("key".into()),
            secret_key: Some("secret".into()),
            ..options()
        }
    }

    fn environment(variables: &[(&str, &str)]) -> Environment {
        let variables = variables.iter();
        Environment {
            variables: variables
                .map(|(name, value)| ((*name).into(), (*value).into()))
                .collect(),
            home: None,
        }
    }

    #[test]
    fn half_a_pair_of_keys_is_refused() {
        let options = VaultOptions {
            access_key: Some("key".into()),
            ..options()
        };
        let error = open(&options, "memories", &Environment::default()).unwrap_err();
        assert!(error.to_string().contains("cloud_secret_key"), "{error}");
    }

    #[test]
    fn keys_come_from_the_nearest_place() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join(".aws")).unwrap();
        let text = "[default]\naws_access_key_id = A\naws_secret_access_key = B\n";
        std::fs::write(folder.path().join(".aws/credentials"), text).unwrap();
        let with_profile = Environment {
            home: Some(folder.path().into()),
            ..environment(&[("AWS_WEB_IDENTITY_TOKEN_FILE", "/x"), ("AWS_ROLE_ARN", "y")])
        };
        let with_keys = Environment {
            home: Some(folder.path().into()),
            ..environment(&[("AWS_ACCESS_KEY_ID", "A"), ("AWS_SECRET_ACCESS_KEY", "B")])
        };
        for (options, environment, source) in [
            (configured(), with_keys.clone(), Credentials::Configured),
            (
                options(),
                with_keys,
                Credentials::Variable("AWS_ACCESS_KEY_ID"),
            ),
            (
                options(),
                with_profile.clone(),
                Credentials::Profile("default".into()),
            ),
            (
                options(),
                Environment {
                    home: None,
                    ..with_profile
                },
                Credentials::Variable("AWS_WEB_IDENTITY_TOKEN_FILE"),
            ),
            (options(), Environment::default(), Credentials::Machine),
        ] {
            let bucket = open(&options, "memories", &environment).unwrap();
            assert_eq!(bucket.credentials, source);
        }
    }

    #[test]
    fn region_and_endpoint_of_the_profile_count_wherever_the_keys_come_from() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join(".aws")).unwrap();
        let config = |text: &str| std::fs::write(folder.path().join(".aws/config"), text).unwrap();
        let environment = Environment {
            home: Some(folder.path().into()),
            ..environment(&[("AWS_ACCESS_KEY_ID", "A"), ("AWS_SECRET_ACCESS_KEY", "B")])
        };
        for options in [configured(), options()] {
            config("[default]\nregion = eu-west-2\n");
            let bucket = open(&options, "memories", &environment).unwrap();
            assert_eq!(bucket.endpoint.host, "s3.eu-west-2.amazonaws.com");
            config("[default]\nendpoint_url = https://s3.example.org\n");
            let bucket = open(&options, "memories", &environment).unwrap();
            assert_eq!(bucket.endpoint.host, "s3.example.org");
        }
    }

    #[test]
    fn the_region_is_the_nearest_one() {
        let with_region = [("AWS_REGION", "eu-west-3")];
        for (endpoint, configured, variables, region) in [
            ("", "auto", &[][..], "us-east-1"),
            ("", "auto", &with_region[..], "eu-west-3"),
            ("", "eu-west-1", &with_region[..], "eu-west-1"),
            (
                "https://s3.us-east-2.amazonaws.com",
                "auto",
                &with_region[..],
                "us-east-2",
            ),
            (
                "https://x.r2.cloudflarestorage.com",
                "auto",
                &with_region[..],
                "auto",
            ),
            ("http://127.0.0.1:3900", "auto", &[][..], "garage"),
            (
                "http://127.0.0.1:9000",
                "auto",
                &with_region[..],
                "eu-west-3",
            ),
            ("https://s3.example.org", "", &with_region[..], "eu-west-3"),
            ("http://127.0.0.1:3900", "home", &[][..], "home"),
        ] {
            let options = VaultOptions {
                endpoint: endpoint.into(),
                region: configured.into(),
                ..options()
            };
            let environment = environment(variables);
            let named = named_endpoint(&options, &environment, &Profile::default()).unwrap();
            let host = named.as_ref().map_or(".amazonaws.com", |named| &named.host);
            let port = named.as_ref().map_or(443, |named| named.port);
            let provider = Provider::of(Protocol::S3, host, port);
            let profile = Profile::default();
            let found = super::region(&options, &environment, &profile, provider, named.as_ref());
            assert_eq!(found, region, "{endpoint} {configured}");
        }
    }
}
