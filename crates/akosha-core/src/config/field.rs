//! One row per setting: its name, default, rule and how it is shown.
