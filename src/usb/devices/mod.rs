//! USB devices that there are only in the machine: keyboard, mouse, tablet, mass storage, hub.
//!
//! Each is a [`Function`](crate::Function) over what all have in common, and hears of the world outside through a queue with a
//! mutex of its own: the sink of a person's keys, or a disk, puts events there and then wakes the controller, which collects. A function never
//! waits and never wakes.
//!
//! - [`descriptor`]: what a function says about itself (USB 2.0, 9.5 and 9.6; USB 3.2, 9.6);
//! - [`standard`]: the requests that every function answers (USB 2.0, 9.4; USB 3.2, 9.4);
//! - [`pending`]: transfers that wait for their data;
//! - [`hid`]: keyboard, mouse, tablet (HID 1.11);
//! - [`scsi`]: what a disk does with a SCSI command;
//! - [`storage`]: a disk on USB;
//! - [`hub`]: more ports.
//!
//! Transfers that wait are no part of a saved state: a controller hands them in again when it goes on.

mod descriptor;
pub mod hid;
pub mod hub;
mod pending;
mod scsi;
mod standard;
pub mod storage;

#[cfg(test)]
#[path = "abuse_test.rs"]
mod abuse_tests;
