//! The provider table: what differs between the services that hold vaults. `docs/providers.md` is
//! its prose, and a test keeps the two in step.

/// Bytes in a MiB.
const MIB: u64 = 1 << 20;

/// The protocol that a vault's URL names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Protocol {
    /// `s3://`.
    S3,
    /// `gs://`: Google's XML interface.
    Gcs,
    /// `az://`: block blobs.
    Azure,
}

impl Protocol {
    /// Returns the scheme of a vault's URL.
    pub(super) fn scheme(self) -> &'static str {
        match self {
            Self::S3 => "s3",
            Self::Gcs => "gs",
            Self::Azure => "az",
        }
    }
}

/// What is known of a service's conditional writes before the first one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Conditions {
    /// It honours them.
    Honoured,
    /// The first write finds out, and what it found is remembered for a week.
    Probed,
}

/// The region where the user names none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Region {
    /// That name, whatever the environment says.
    Fixed(&'static str),
    /// That of the environment, else this name.
    Otherwise(&'static str),
    /// What the host names after `s3.`, else that of the environment, else this name.
    OfHost(&'static str),
}

/// One service.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Provider {
    /// Its name, as the documentation has it.
    pub(super) name: &'static str,
    pub(super) protocol: Protocol,
    /// How its endpoint is recognised.
    hosts: &'static [Host],
    pub(super) region: Region,
    conditions: Conditions,
    /// Fewest bytes of a part that is not the last one.
    min_part: u64,
    /// Most bytes of a part.
    max_part: u64,
    /// Most parts of an object.
    max_parts: u64,
    /// Parts of one object that are on their way at once; each costs its size in memory.
    pub(super) parts_in_flight: usize,
    /// Objects that hold pieces of files that are on their way at once, at most.
    pub(super) objects_in_flight: usize,
    /// Whether requests may carry the checksum header that the environment asks for
    /// (`AWS_CHECKSUM_ALGORITHM`).
    pub(super) takes_checksums: bool,
    /// Whether it drops the parts of an unfinished object when asked to; those of others expire.
    pub(super) aborts_parts: bool,
}

/// A sign of a provider in the host or port of an endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Host {
    /// The host ends with this.
    EndsWith(&'static str),
    /// One of the host's labels is this.
    Label(&'static str),
    /// The port is this.
    Port(u16),
}

impl Host {
    fn matches(self, host: &str, port: u16) -> bool {
        match self {
            Self::EndsWith(end) => host.ends_with(end),
            Self::Label(label) => host.split('.').any(|part| part == label),
            Self::Port(expected) => port == expected,
        }
    }
}

/// What a service that speaks S3 and is not known better can do.
const S3: Provider = Provider {
    name: "other S3",
    protocol: Protocol::S3,
    hosts: &[],
    region: Region::Otherwise("auto"),
    conditions: Conditions::Probed,
    min_part: 5 * MIB,
    max_part: 5 << 30,
    max_parts: 10_000,
    parts_in_flight: 3,
    objects_in_flight: 8,
    takes_checksums: true,
    aborts_parts: true,
};

/// The table. Of each protocol the first row that an endpoint matches counts; the last row of a
/// protocol stands for all others that speak it.
///
/// Limits: <https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html>,
/// <https://developers.cloudflare.com/r2/platform/limits/>,
/// <https://www.backblaze.com/docs/cloud-storage-large-files>,
/// <https://cloud.google.com/storage/quotas>,
/// <https://learn.microsoft.com/en-us/azure/storage/blobs/scalability-targets>.
pub(super) static PROVIDERS: [Provider; 9] = [
    Provider {
        name: "Amazon S3",
        hosts: &[
            Host::EndsWith(".amazonaws.com"),
            Host::EndsWith(".amazonaws.com.cn"),
        ],
        region: Region::OfHost("us-east-1"),
        conditions: Conditions::Honoured,
        ..S3
    },
    Provider {
        name: "Cloudflare R2",
        hosts: &[Host::EndsWith(".r2.cloudflarestorage.com")],
        region: Region::Fixed("auto"),
        // More at once are throttled.
        parts_in_flight: 2,
        objects_in_flight: 3,
        takes_checksums: false,
        ..S3
    },
    Provider {
        name: "Backblaze B2",
        hosts: &[Host::EndsWith(".backblazeb2.com")],
        region: Region::OfHost("us-west-004"),
        takes_checksums: false,
        ..S3
    },
    Provider {
        name: "Google Cloud Storage by S3",
        hosts: &[Host::EndsWith("storage.googleapis.com")],
        takes_checksums: false,
        ..S3
    },
    Provider {
        name: "MinIO",
        hosts: &[Host::Label("minio"), Host::Port(9000)],
        region: Region::Otherwise("us-east-1"),
        ..S3
    },
    Provider {
        name: "Garage",
        hosts: &[Host::Label("garage"), Host::Port(3900)],
        region: Region::Otherwise("garage"),
        ..S3
    },
    S3,
    Provider {
        name: "Google Cloud Storage",
        protocol: Protocol::Gcs,
        hosts: &[Host::EndsWith(".googleapis.com")],
        conditions: Conditions::Honoured,
        ..S3
    },
    Provider {
        name: "Azure Blob Storage",
        protocol: Protocol::Azure,
        hosts: &[Host::Label("blob")],
        conditions: Conditions::Honoured,
        min_part: 1,
        max_part: 4000 * MIB,
        max_parts: 50_000,
        aborts_parts: false,
        ..S3
    },
];

impl Provider {
    /// Returns the row of an endpoint.
    pub(super) fn of(protocol: Protocol, host: &str, port: u16) -> &'static Self {
        let of_protocol = || PROVIDERS.iter().filter(|row| row.protocol == protocol);
        of_protocol()
            .find(|row| row.hosts.iter().any(|sign| sign.matches(host, port)))
            .or_else(|| of_protocol().next_back())
            .unwrap_or(&PROVIDERS[0])
    }

    /// Returns what is known of the conditional writes of an endpoint: what only speaks the
    /// provider's protocol, such as an emulator, is probed.
    pub(super) fn conditions_at(&self, host: &str, port: u16) -> Conditions {
        if self.hosts.iter().any(|sign| sign.matches(host, port)) {
            self.conditions
        } else {
            Conditions::Probed
        }
    }

    /// Returns the region that a host names, where it is one of those that do.
    pub(super) fn region_of<'a>(&self, host: &'a str) -> Option<&'a str> {
        match self.region {
            Region::OfHost(_) => {
                let mut labels = host.split('.');
                labels.find(|label| *label == "s3")?;
                let region = labels.next()?;
                region.contains('-').then_some(region)
            }
            Region::Fixed(_) | Region::Otherwise(_) => None,
        }
    }

    /// Returns the bytes of each part but the last of an object of `size` bytes: what is wanted,
    /// unless the provider takes no parts that small, or not so many of them.
    pub(super) fn part_size(&self, size: u64, wanted: u64) -> u64 {
        // A whole number of MiB, so that sizes do not depend on the last byte.
        let fewest = size.div_ceil(self.max_parts).div_ceil(MIB) * MIB;
        wanted.max(self.min_part).max(fewest).min(self.max_part)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(protocol: Protocol, host: &str, port: u16) -> &'static str {
        Provider::of(protocol, host, port).name
    }

    #[test]
    fn providers_are_recognised() {
        for (host, port, name) in [
            ("s3.eu-central-1.amazonaws.com", 443, "Amazon S3"),
            ("s3.cn-north-1.amazonaws.com.cn", 443, "Amazon S3"),
            ("abc.r2.cloudflarestorage.com", 443, "Cloudflare R2"),
            ("abc.eu.r2.cloudflarestorage.com", 443, "Cloudflare R2"),
            ("s3.us-west-004.backblazeb2.com", 443, "Backblaze B2"),
            ("storage.googleapis.com", 443, "Google Cloud Storage by S3"),
            ("minio.example.org", 443, "MinIO"),
            ("127.0.0.1", 9000, "MinIO"),
            ("localhost", 3900, "Garage"),
            ("s3.example.org", 443, "other S3"),
            ("amazonaws.com.example.org", 443, "other S3"),
        ] {
            assert_eq!(of(Protocol::S3, host, port), name, "{host}");
        }
        assert_eq!(of(Protocol::Gcs, "127.0.0.1", 9000), "Google Cloud Storage");
        assert_eq!(of(Protocol::Azure, "localhost", 3900), "Azure Blob Storage");
    }

    #[test]
    fn only_the_providers_own_service_is_trusted_unseen() {
        for (protocol, host, conditions) in [
            (
                Protocol::S3,
                "s3.eu-west-1.amazonaws.com",
                Conditions::Honoured,
            ),
            (
                Protocol::S3,
                "abc.r2.cloudflarestorage.com",
                Conditions::Probed,
            ),
            (Protocol::S3, "s3.example.org", Conditions::Probed),
            (
                Protocol::Gcs,
                "storage.googleapis.com",
                Conditions::Honoured,
            ),
            (Protocol::Gcs, "127.0.0.1", Conditions::Probed),
            (
                Protocol::Azure,
                "x.blob.core.windows.net",
                Conditions::Honoured,
            ),
            (Protocol::Azure, "127.0.0.1", Conditions::Probed),
        ] {
            let provider = Provider::of(protocol, host, 443);
            assert_eq!(provider.conditions_at(host, 443), conditions, "{host}");
        }
    }

    #[test]
    fn hosts_name_their_region() {
        for (host, region) in [
            ("s3.eu-central-1.amazonaws.com", Some("eu-central-1")),
            ("bucket.s3.us-east-2.amazonaws.com", Some("us-east-2")),
            ("s3.amazonaws.com", None),
            ("s3.us-west-004.backblazeb2.com", Some("us-west-004")),
            ("s3.eu-west-1.example.org", None),
        ] {
            let provider = Provider::of(Protocol::S3, host, 443);
            assert_eq!(provider.region_of(host), region, "{host}");
        }
    }

    #[test]
    fn the_largest_object_fits() {
        for provider in &PROVIDERS {
            for (size, wanted) in [
                (6 * MIB, MIB),
                (100 << 30, 5 * MIB),
                (5 << 40, 5 * MIB),
                ((5 << 40) - 1, 100 * MIB),
            ] {
                let part = provider.part_size(size, wanted);
                let name = provider.name;
                assert!(size.div_ceil(part) <= provider.max_parts, "{name}: {size}");
                assert!(part >= provider.min_part && part <= provider.max_part);
            }
        }
        assert_eq!(PROVIDERS[0].part_size(6 * MIB, MIB), 5 * MIB);
        assert_eq!(PROVIDERS[0].part_size(6 * MIB, 7 * MIB), 7 * MIB);
    }

    /// The rows of the table in the documentation that start with a provider's name.
    #[test]
    fn the_documentation_has_the_same_table() {
        let text = include_str!("../../../../docs/providers.md");
        for provider in &PROVIDERS {
            let name = provider.name;
            let row = text
                .lines()
                .find(|line| line.starts_with(&format!("| {name} |")))
                .unwrap_or_else(|| panic!("no row of `{name}`"));
            let cells: Vec<&str> = row.split('|').map(str::trim).collect();
            let parts = match provider.max_part {
                5_368_709_120 => "5 GiB".to_owned(),
                bytes => format!("{} MiB", bytes / MIB),
            };
            let least = match provider.min_part {
                1 => "1 B".to_owned(),
                bytes => format!("{} MiB", bytes / MIB),
            };
            let conditions = match provider.conditions {
                Conditions::Honoured => "honoured",
                Conditions::Probed => "probed",
            };
            let region = match provider.region {
                Region::Fixed(name) | Region::Otherwise(name) => format!("`{name}`"),
                Region::OfHost(name) => format!("of the host, else `{name}`"),
            };
            let said = [
                name.to_owned(),
                format!("`{}://`", provider.protocol.scheme()),
                conditions.to_owned(),
                format!("{least} to {parts}"),
                provider.max_parts.to_string(),
                format!(
                    "{}, {}",
                    provider.parts_in_flight, provider.objects_in_flight
                ),
                if provider.protocol == Protocol::S3 {
                    region
                } else {
                    "–".to_owned()
                },
                if provider.takes_checksums {
                    "yes"
                } else {
                    "no"
                }
                .to_owned(),
                if provider.aborts_parts {
                    "yes"
                } else {
                    "expire"
                }
                .to_owned(),
            ];
            assert_eq!(cells[1..cells.len() - 1], said, "{name}");
            assert!(
                text.contains(&format!("\n### {name}\n")),
                "no section of `{name}`"
            );
            for sign in provider.hosts {
                let sign = match sign {
                    Host::EndsWith(text) | Host::Label(text) => (*text).to_owned(),
                    Host::Port(port) => port.to_string(),
                };
                assert!(text.contains(&sign), "`{sign}` is not told of");
            }
        }
    }
}
