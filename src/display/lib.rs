//! Screens: scanouts, damage, VGA with Bochs DISPI.
