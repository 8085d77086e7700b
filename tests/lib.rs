//! Tests of the whole: layers, firmware, guests, the app.
