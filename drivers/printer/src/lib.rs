//! Driver for ESC/POS receipt printers.
