//! Planted faults: what the simulation must catch. Code only with the feature `planted`, and off even then until a
//! test switches one on for its own thread. A tilld cannot be built with it (its `main.rs` asserts [`PLANTED`]).

/// Whether planted faults are compiled in.
pub const PLANTED: bool = cfg!(feature = "planted");

/// Whether a fault is switched on; `false`, and gone from the program, without the feature.
#[allow(unused_macros)]
macro_rules! planted {
    ($fault:ident) => {{
        #[cfg(feature = "planted")]
        {
            $crate::planted::is_on($crate::planted::Fault::$fault)
        }
        #[cfg(not(feature = "planted"))]
        {
            false
        }
    }};
}
#[allow(unused_imports)] // which places there are is not for this file
pub(crate) use planted;

#[cfg(feature = "planted")]
mod switch {
    use std::cell::Cell;

    macro_rules! faults {
        ($($fault:ident = $name:literal, $what:literal;)*) => {
            /// A mistake that the till could have.
            #[derive(Copy, Clone, Debug, PartialEq, Eq)]
            pub enum Fault {
                $(#[doc = $what] $fault,)*
            }

            impl Fault {
                /// All of them.
                pub const ALL: &'static [Self] = &[$(Self::$fault,)*];

                /// Lower-kebab name.
                pub const fn name(self) -> &'static str {
                    match self { $(Self::$fault => $name,)* }
                }

                /// What it does, one line.
                pub const fn what(self) -> &'static str {
                    match self { $(Self::$fault => $what,)* }
                }
            }
        };
    }

    faults! {
        SendBeforeFlush = "send-before-flush", "A request leaves before its record with the reversal is on disk.";
        PrintBeforeFlush = "print-before-flush", "A receipt is printed before its record is on disk.";
        DrawerBeforeFlush = "drawer-before-flush", "The drawer opens before the answer is on disk.";
    }

    thread_local! {
        static ON: Cell<Option<Fault>> = const { Cell::new(None) };
    }

    /// Switches a fault on for this thread; None: all off.
    pub fn plant(fault: Option<Fault>) {
        ON.set(fault);
    }

    pub(crate) fn is_on(fault: Fault) -> bool {
        ON.get() == Some(fault)
    }
}

#[cfg(feature = "planted")]
pub(crate) use switch::is_on;
#[cfg(feature = "planted")]
pub use switch::{Fault, plant};
