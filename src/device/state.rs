//! Saved state of a device: its own versioned struct, carried as JSON.
//!
//! A device implements [`State`] by hand, taking itself apart exhaustively (`let Self { a, b, irq: _ } = self;`), so that a new
//! field does not compile until somebody has decided whether it is state. [`StateDyn`] comes for free.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// One device's saved state.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Section {
    /// Which kind of device it is of.
    pub kind: String,
    /// Version of the kind's struct.
    pub version: u32,
    /// The struct.
    pub data: serde_json::Value,
}

/// A saved state that cannot be taken. Saved files are untrusted.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    /// The section is another device's.
    #[error("this is the saved state of a {found}, not of a {wanted}")]
    Kind {
        /// The device's kind.
        wanted: &'static str,
        /// The section's kind.
        found: String,
    },
    /// The section is of a version that this build does not know.
    #[error("saved state of {kind} has version {found}, newest known is {known}")]
    Version {
        /// The device's kind.
        kind: &'static str,
        /// The section's version.
        found: u32,
        /// The newest version this build reads.
        known: u32,
    },
    /// The section does not have the struct's shape.
    #[error("saved state of {kind} cannot be read")]
    Shape {
        /// The device's kind.
        kind: &'static str,
        /// What serde_json says.
        source: serde_json::Error,
    },
    /// A value that the device can never have.
    #[error("saved state of {kind} has an impossible {field}")]
    Value {
        /// The device's kind.
        kind: &'static str,
        /// The field.
        field: &'static str,
    },
}

/// A device's saved state, typed.
pub trait State {
    /// The kind's name, never changed once released.
    const KIND: &'static str;
    /// Version of [`Self::Saved`]; goes up when old structs need converting.
    const VERSION: u32 = 1;
    /// Plain data: no handle, no reference.
    type Saved: Serialize + DeserializeOwned;

    /// Takes the state out. Called with vCPUs stopped and no request in flight.
    fn save(&self) -> Self::Saved;

    /// Puts a state in, checking every field: on error the device must be reset before it runs. Lines are driven to their level,
    /// timers armed, and anything derived is derived again.
    fn restore(&mut self, saved: Self::Saved) -> Result<(), RestoreError>;

    /// The error for a field with an impossible value.
    fn impossible(field: &'static str) -> RestoreError {
        RestoreError::Value { kind: Self::KIND, field }
    }
}

/// A device's saved state, type-erased; implemented for every [`State`].
pub trait StateDyn {
    /// The kind's name.
    fn kind(&self) -> &'static str;
    /// Takes the state out as a section.
    fn save_section(&self) -> Result<Section, serde_json::Error>;
    /// Puts a section in.
    fn restore_section(&mut self, section: Section) -> Result<(), RestoreError>;
}

impl<T: State> StateDyn for T {
    fn kind(&self) -> &'static str {
        T::KIND
    }

    fn save_section(&self) -> Result<Section, serde_json::Error> {
        Ok(Section { kind: T::KIND.to_owned(), version: T::VERSION, data: serde_json::to_value(self.save())? })
    }

    fn restore_section(&mut self, section: Section) -> Result<(), RestoreError> {
        let Section { kind, version, data } = section;
        if kind != T::KIND {
            return Err(RestoreError::Kind { wanted: T::KIND, found: kind });
        }
        if version > T::VERSION {
            return Err(RestoreError::Version { kind: T::KIND, found: version, known: T::VERSION });
        }
        let saved = serde_json::from_value(data).map_err(|source| RestoreError::Shape { kind: T::KIND, source })?;
        self.restore(saved)
    }
}
