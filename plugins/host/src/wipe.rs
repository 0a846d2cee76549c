//! Memory that is given back is wiped first, whoever gives it back: this process, the plugin, a library that the plugin
//! brought along, in whatever language. A card number that went through a parser, a TLS library and a growing buffer is
//! in one place while it is needed, and in none after.
//!
//! A plugin is a shared object with an allocator of its own, which a Rust `#[global_allocator]` of this program does not
//! reach. All of them end at the C library's `free`, so that is where this stands: the program's `free` and `realloc` go before the
//! library's in the dynamic linker's order, and hand on to them (glibc: "Replacing malloc"; the two may be replaced alone because what they
//! hand on to is glibc's own). A plugin that links an allocator which does not use `malloc` is not reached.

#![allow(unsafe_code)] // stands in for two functions of the C library

#[cfg(target_env = "gnu")]
mod glibc {
    use libc::{c_void, explicit_bzero, malloc_usable_size, size_t};

    unsafe extern "C" {
        // glibc's own, under the names that it exports for this.
        fn __libc_malloc(size: size_t) -> *mut c_void;
        fn __libc_free(block: *mut c_void);
    }

    /// Wipes and frees.
    ///
    /// # Safety
    /// As C's `free`: a block of this allocator, or null.
    #[unsafe(no_mangle)]
    pub(super) unsafe extern "C" fn free(block: *mut c_void) {
        if block.is_null() {
            return;
        }
        // SAFETY: the caller gives a whole live block, which nobody uses any more.
        unsafe {
            explicit_bzero(block, malloc_usable_size(block));
            __libc_free(block);
        }
    }

    /// Moves a block that does not fit any more, and wipes where it was. One that fits stays where it is.
    ///
    /// # Safety
    /// As C's `realloc`: a block of this allocator, or null.
    #[unsafe(no_mangle)]
    pub(super) unsafe extern "C" fn realloc(block: *mut c_void, size: size_t) -> *mut c_void {
        // SAFETY: the caller gives a whole live block or null; the new one is disjoint, and long enough for what is copied.
        unsafe {
            if block.is_null() {
                return __libc_malloc(size);
            }
            if size == 0 {
                free(block);
                return std::ptr::null_mut();
            }
            let had = malloc_usable_size(block);
            if size <= had && size >= had / 2 {
                return block;
            }
            let moved = __libc_malloc(size);
            if !moved.is_null() {
                std::ptr::copy_nonoverlapping(block.cast::<u8>(), moved.cast::<u8>(), had.min(size));
                free(block);
            }
            moved
        }
    }

    /// Whether the plugin's `free` is this one: asked of the dynamic linker, as it asks itself.
    pub(super) fn active() -> bool {
        let ours = [(c"free", free as *const () as usize), (c"realloc", realloc as *const () as usize)];
        ours.iter().all(|(name, address)| {
            // SAFETY: a name that ends with a zero, looked up in the default order.
            let found = unsafe { libc::dlsym(libc::RTLD_DEFAULT, name.as_ptr()) };
            found as usize == *address
        })
    }
}

use till_plugin::proto::Layer;

use crate::confine::layer;

/// The layer and what it achieved.
pub(crate) fn layer_of_wiping() -> Layer {
    #[cfg(target_env = "gnu")]
    let level = if glibc::active() {
        "full"
    } else {
        "off: the plugin's memory is freed past this program: report it to the tilld project"
    };
    #[cfg(not(target_env = "gnu"))]
    let level = "off: only done with glibc";
    layer("wiped-memory", level)
}

#[cfg(all(test, target_env = "gnu"))]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::os::unix::fs::FileExt;

    use super::glibc::{active, free, realloc};

    const LENGTH: usize = 200;

    /// What is at an address, whether it is anybody's or not. Asks for no memory itself: it would be given just that.
    fn at(address: usize) -> [u8; LENGTH] {
        let mut bytes = [0; LENGTH];
        let memory = std::fs::File::open("/proc/self/mem").unwrap();
        memory.read_exact_at(&mut bytes, u64::try_from(address).unwrap()).unwrap();
        bytes
    }

    fn filled() -> *mut libc::c_void {
        // SAFETY: a new block of that length.
        unsafe {
            let block = libc::malloc(LENGTH);
            std::ptr::write_bytes(block.cast::<u8>(), b'7', LENGTH);
            block
        }
    }

    /// In the first bytes of a free block the allocator keeps what is its own.
    fn is_wiped(address: usize) {
        let left = at(address);
        assert!(!left.contains(&b'7'), "{left:?}");
    }

    /// One test, as another in the same process could be given what is looked at.
    #[test]
    fn what_is_freed_dropped_or_moved_is_wiped_and_what_is_moved_is_whole() {
        assert!(active(), "the C library's own are called");
        let block = filled();
        assert_eq!(at(block as usize), [b'7'; LENGTH]);
        // SAFETY: blocks of this allocator, each freed once.
        unsafe { free(block) };
        is_wiped(block as usize);

        let block = filled();
        // SAFETY: as above.
        let moved = unsafe { realloc(block, 100 * LENGTH) };
        assert_ne!(moved, block);
        is_wiped(block as usize);
        assert_eq!(at(moved as usize), [b'7'; LENGTH]);
        // SAFETY: as above.
        let small = unsafe { realloc(moved, LENGTH) };
        is_wiped(moved as usize);
        assert_eq!(at(small as usize), [b'7'; LENGTH]);
        // SAFETY: as above; nothing and none are blocks as well.
        unsafe {
            assert!(realloc(small, 0).is_null());
            free(std::ptr::null_mut());
            free(realloc(std::ptr::null_mut(), LENGTH));
        }
        is_wiped(small as usize);

        // As Rust frees.
        let text = "7".repeat(LENGTH);
        let address = text.as_ptr() as usize;
        drop(text);
        is_wiped(address);
    }
}
