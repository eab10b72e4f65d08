//! A value that can't be printed, cloned, compared or serialised, and is wiped when dropped (I4).

use zeroize::Zeroize;

/// Holds a secret. There is no `Debug`, `Display`, `Clone`, `Serialize` or `PartialEq` on purpose:
/// the only way out is [`Secret::expose`], which is easy to search for.
pub struct Secret<T: Zeroize>(T);

impl<T: Zeroize> Secret<T> {
    /// Takes ownership of a secret value.
    pub const fn new(value: T) -> Self {
        Self(value)
    }

    /// Lends the value. Callers are the edge (an effect that injects it) and cryptography.
    pub const fn expose(&self) -> &T {
        &self.0
    }
}

impl<T: Zeroize> Drop for Secret<T> {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}
