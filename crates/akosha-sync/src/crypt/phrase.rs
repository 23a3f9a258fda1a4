//! A master key as 24 words of BIP39, which a person can write down and type again.

use std::fmt;

use bip39::{Language, Mnemonic};
use zeroize::Zeroizing;

use super::key::KEY_BYTES;
use super::{KeyError, MasterKey};

/// Words of a phrase.
const WORDS: usize = 24;

/// A recovery phrase: 24 English words of BIP39, whose last one holds a checksum. It is the key.
#[derive(Clone)]
pub struct Phrase(Zeroizing<String>);

impl Phrase {
    /// Writes a key as a phrase.
    pub fn of(key: &MasterKey) -> Self {
        let mut text = Zeroizing::new(String::with_capacity(WORDS * 9));
        // 32 bytes are among the lengths that BIP39 has words for.
        if let Ok(mnemonic) = Mnemonic::from_entropy(key.expose()) {
            for word in mnemonic.words() {
                if !text.is_empty() {
                    text.push(' ');
                }
                text.push_str(word);
            }
        }
        Self(text)
    }

    /// Reads a phrase; case and white space between words do not matter.
    ///
    /// # Errors
    /// Says which rule is broken without repeating any word.
    pub fn parse(text: &str) -> Result<MasterKey, KeyError> {
        let mut normal = Zeroizing::new(String::with_capacity(text.len() + 1));
        let mut words = 0;
        for word in text.split_whitespace() {
            if words > 0 {
                normal.push(' ');
            }
            normal.extend(word.chars().map(|c| c.to_ascii_lowercase()));
            words += 1;
        }
        if words != WORDS {
            let reason = format!("has {words} words, expected {WORDS}");
            return Err(KeyError::Phrase { reason });
        }
        let mnemonic = Mnemonic::parse_in_normalized(Language::English, &normal);
        let mnemonic = mnemonic.map_err(|error| KeyError::Phrase {
            reason: match error {
                bip39::Error::UnknownWord(at) => {
                    format!("has a word that is not of the list: word {}", at + 1)
                }
                bip39::Error::InvalidChecksum => {
                    "has all words of the list, but not those of a key: one is wrong, or two \
                     are swapped"
                        .into()
                }
                other => other.to_string(),
            },
        })?;
        let (entropy, _) = mnemonic.to_entropy_array();
        let entropy = Zeroizing::new(entropy);
        let mut bytes = Zeroizing::new([0; KEY_BYTES]);
        for (to, from) in bytes.iter_mut().zip(entropy.iter()) {
            *to = *from;
        }
        Ok(MasterKey::from_bytes(bytes))
    }

    /// Returns the words: to be shown to the key's owner alone.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Phrase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Phrase(********)")
    }
}
