//! The board: assembly, firmware tables, run, pause, reset, save, restore.
