//! `set`: a machine's settings by name ([`api::settings`]).

use anyhow::Result;
use api::settings::{Key, Takes};
use library::{Entry, Library};
use serde_json::{Value, json};

use crate::output::{Output, table};

/// Changes settings, all of them or none; without any, says which there are.
pub(crate) fn set(library: &Library, entry: &Entry, settings: &[(Key, String)], out: Output) -> Result<()> {
    if settings.is_empty() {
        return list(entry, out);
    }
    library.change(entry, |machine| settings.iter().try_for_each(|(key, value)| machine.set(*key, value)))?;
    Ok(())
}

fn list(entry: &Entry, out: Output) -> Result<()> {
    let machine = &entry.machine;
    let settings: Vec<_> = machine.keys().into_iter().filter_map(|key| Some((key, machine.get(key)?))).collect();
    out.data(
        || {
            let pair = |(key, value): &(Key, String)| (key.to_string(), json!(value));
            Value::Object(settings.iter().map(pair).collect())
        },
        || {
            let row = |(key, value): &(Key, String)| {
                let takes = match key.takes() {
                    Takes::Words(words) => format!(" ({})", words.join(", ")),
                    Takes::Number(_)
                    | Takes::Text
                    | Takes::Network
                    | Takes::Forwards
                    | Takes::Devices
                    | Takes::UsbRules => String::new(),
                };
                vec![format!("{key}={value}"), format!("{}{takes}", key.about())]
            };
            table(&settings.iter().map(row).collect::<Vec<_>>())
        },
    )
}
