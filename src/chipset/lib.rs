//! What is soldered on a Q35 board.
