//! Disk images and their queues.
