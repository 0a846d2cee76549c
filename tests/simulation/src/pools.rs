//! Memory for worlds: lists of free pieces, one of each size and thread.
//!
//! A payment takes and gives back some four hundred small pieces, all on the thread that lives its world. With a general
//! allocator that is an eighth of the time; here taking one and giving it back are ten instructions. It suits programs
//! like this one and no others: pieces are never given back to the system, and one that another thread frees stays with
//! that thread, so nothing may flow from one thread to another for ever (`till_simulation::many` sees to that).

#![allow(unsafe_code)] // an allocator

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::ptr;

/// Sizes are multiples of this; every piece is aligned to it.
const STEP: usize = 16;

/// Larger ones are the system's.
const LARGEST: usize = 4096;

/// What is asked of the system at once.
const CHUNK: usize = 1 << 20;

/// The allocator.
pub(crate) struct Pools;

/// A free piece.
struct Free {
    next: *mut Free,
}

struct Pool {
    /// By size in steps.
    free: [Cell<*mut Free>; LARGEST / STEP + 1],
    /// The rest of the newest chunk.
    rest: Cell<*mut u8>,
    left: Cell<usize>,
}

thread_local! {
    // Constant and without a destructor: no first use, and there as long as its thread.
    static POOL: Pool = const {
        Pool {
            free: [const { Cell::new(ptr::null_mut()) }; LARGEST / STEP + 1],
            rest: Cell::new(ptr::null_mut()),
            left: Cell::new(0),
        }
    };
}

/// Size in steps of a piece that is pooled.
const fn steps(layout: Layout) -> Option<usize> {
    if layout.size() <= LARGEST && layout.align() <= STEP { Some(layout.size().div_ceil(STEP)) } else { None }
}

impl Pool {
    /// A piece of so many steps, at least one; null when the system has no memory.
    fn take(&self, steps: usize) -> *mut u8 {
        let first = self.free[steps].get();
        if first.is_null() {
            return self.cut(steps);
        }
        // SAFETY: what is in a list was put there by `give`, which made it a `Free`, and nobody has it.
        self.free[steps].set(unsafe { (*first).next });
        first.cast()
    }

    #[cold]
    fn cut(&self, steps: usize) -> *mut u8 {
        let size = steps * STEP;
        if self.left.get() < size {
            // What is left of the old chunk, less than a piece, is never used.
            let Ok(layout) = Layout::from_size_align(CHUNK, STEP) else { return ptr::null_mut() };
            // SAFETY: the layout is not empty.
            let chunk = unsafe { System.alloc(layout) };
            if chunk.is_null() {
                return chunk;
            }
            self.rest.set(chunk);
            self.left.set(CHUNK);
        }
        let piece = self.rest.get();
        self.rest.set(piece.wrapping_add(size));
        self.left.set(self.left.get() - size);
        piece
    }

    /// # Safety
    /// The piece came from `take` with the same steps, of this thread or another, and nobody uses it any more.
    #[allow(clippy::cast_ptr_alignment)] // every piece is aligned to a step
    unsafe fn give(&self, piece: *mut u8, steps: usize) {
        let free = piece.cast::<Free>();
        // SAFETY: it is the caller's to give, at least one step long, and aligned to one.
        unsafe { free.write(Free { next: self.free[steps].get() }) };
        self.free[steps].set(free);
    }
}

// SAFETY: a piece is in no list while somebody has it, is as long and as aligned as its layout wants, and goes back into
// the list of its own size: the layout that comes back is the one it was taken with.
unsafe impl GlobalAlloc for Pools {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        match steps(layout) {
            Some(steps) => POOL.with(|pool| pool.take(steps)),
            // SAFETY: as the caller promised us.
            None => unsafe { System.alloc(layout) },
        }
    }

    unsafe fn dealloc(&self, piece: *mut u8, layout: Layout) {
        match steps(layout) {
            // SAFETY: it was taken with this layout, so with these steps.
            Some(steps) => POOL.with(|pool| unsafe { pool.give(piece, steps) }),
            // SAFETY: a layout that is not pooled was the system's.
            None => unsafe { System.dealloc(piece, layout) },
        }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        if steps(layout).is_none() {
            // SAFETY: as the caller promised us.
            return unsafe { System.alloc_zeroed(layout) };
        }
        // SAFETY: as the caller promised us.
        let piece = unsafe { self.alloc(layout) };
        if !piece.is_null() {
            // SAFETY: it is ours and so long.
            unsafe { piece.write_bytes(0, layout.size()) };
        }
        piece
    }

    unsafe fn realloc(&self, piece: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: the caller promised that the new size, rounded up to the alignment, fits.
        let wanted = unsafe { Layout::from_size_align_unchecked(size, layout.align()) };
        match (steps(layout), steps(wanted)) {
            // SAFETY: it is the system's and stays so.
            (None, None) => unsafe { System.realloc(piece, layout, size) },
            (Some(now), Some(then)) if now == then => piece,
            _ => {
                // SAFETY: the new size is not zero, as the caller promised.
                let to = unsafe { self.alloc(wanted) };
                if !to.is_null() {
                    // SAFETY: both are as long as the shorter of them, and apart; the old one is given back once.
                    unsafe {
                        ptr::copy_nonoverlapping(piece, to, layout.size().min(size));
                        self.dealloc(piece, layout);
                    }
                }
                to
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layout(size: usize, align: usize) -> Layout {
        Layout::from_size_align(size, align).unwrap()
    }

    #[test]
    fn pieces_are_apart_aligned_and_used_again() {
        let pools = Pools;
        for (size, align) in [(1, 1), (16, 16), (17, 8), (4096, 16), (4097, 8), (64, 64), (1 << 20, 16)] {
            let layout = layout(size, align);
            // SAFETY: used as an allocator is used.
            unsafe {
                let pieces: Vec<*mut u8> = (0..600).map(|_| pools.alloc(layout)).collect();
                for (n, piece) in pieces.iter().enumerate() {
                    assert!(piece.cast::<u8>().addr() % align == 0 && !piece.is_null());
                    piece.write_bytes(u8::try_from(n % 251).unwrap(), size);
                }
                for (n, piece) in pieces.iter().enumerate() {
                    let bytes = std::slice::from_raw_parts(*piece, size);
                    assert!(bytes.iter().all(|b| usize::from(*b) == n % 251), "{size} bytes overlap");
                    pools.dealloc(*piece, layout);
                }
                if size <= LARGEST && align <= STEP {
                    assert_eq!(pools.alloc(layout), pieces[599], "what came back last goes out first");
                }
            }
        }
    }

    #[test]
    fn what_grows_and_shrinks_keeps_its_bytes_and_zeros_are_zeros() {
        let pools = Pools;
        // SAFETY: used as an allocator is used.
        unsafe {
            let (mut piece, mut size) = (pools.alloc(layout(5, 1)), 5);
            piece.copy_from(b"bytes".as_ptr(), 5);
            for next in [16, 17, 4000, 4096, 4097, 100_000, 200_000, 4096, 40, 5] {
                piece = pools.realloc(piece, layout(size, 1), next);
                size = next;
                assert_eq!(std::slice::from_raw_parts(piece, 5), b"bytes", "at {next}");
            }
            for size in [48, 5000] {
                let dirty = pools.alloc(layout(size, 8));
                dirty.write_bytes(0xff, size);
                pools.dealloc(dirty, layout(size, 8));
                let zeroed = pools.alloc_zeroed(layout(size, 8));
                assert!(std::slice::from_raw_parts(zeroed, size).iter().all(|b| *b == 0), "{size}");
            }
        }
    }
}
