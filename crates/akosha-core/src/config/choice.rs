//! Settings that take one of a few names.

macro_rules! choice {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $text:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum $name {
            $($(#[$variant_doc])* $variant,)+
        }

        impl $name {
            /// Every name, in the order of the documentation.
            pub const NAMES: &'static [&'static str] = &[$($text),+];

            /// Returns the name used in the configuration.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $text,)+
                }
            }

            /// Reads the name used in the configuration.
            pub fn from_name(name: &str) -> Option<Self> {
                match name {
                    $($text => Some(Self::$variant),)+
                    _ => None,
                }
            }
        }
    };
}

choice!(
    /// Which sync methods may be used.
    ForceMethod {
        /// Cloud, then HTTP.
        Auto = "auto",
        /// Cloud alone.
        Cloud = "cloud",
        /// HTTP alone.
        Http = "http",
    }
);

choice!(
    /// How files are compressed.
    Compression {
        /// Zstandard.
        Zstd = "zstd",
        /// Gzip.
        Gzip = "gzip",
    }
);

choice!(
    /// What `stored` survives.
    Durability {
        /// Loss of power: every commit is synced to disk.
        Full = "full",
        /// Death of the process, not loss of power.
        Process = "process",
    }
);

choice!(
    /// Whether what goes into the vault is encrypted end to end.
    Encryption {
        /// Stored as it is; the bucket's own encryption applies.
        Off = "off",
        /// Encrypted before it leaves this machine.
        On = "on",
    }
);
