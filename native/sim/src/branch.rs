// SPDX-License-Identifier: Apache-2.0
//! Computing in a copy of this process, which begins with all that is in memory here and changes nothing of it.
//!
//! 10,000 whole stacks take minutes and gigabytes to form. Their copy costs the pages that it changes.

use std::io::{self, Read as _};
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::sync::{Mutex, PoisonError};

use fork::Fork;
use serde::de::DeserializeOwned;
use serde::Serialize;

/// While this is held no other copy begins: it would have the pipe of this one, and keep it open.
static BEGINNING: Mutex<()> = Mutex::new(());

/// Computes in a copy of this process, and waits for the result. The copy has this thread only, so what it computes must
/// not take locks that others may have held.
pub(crate) fn apart<T: DeserializeOwned + Serialize>(compute: impl FnOnce() -> T) -> io::Result<T> {
    let beginning = BEGINNING.lock().unwrap_or_else(PoisonError::into_inner);
    let (mut reader, writer) = io::pipe()?;
    let Fork::Parent(copy) = fork::fork()? else {
        let result = catch_unwind(AssertUnwindSafe(|| serde_json::to_writer(writer, &compute())));
        std::process::exit(i32::from(!matches!(result, Ok(Ok(())))));
    };
    drop((writer, beginning));
    let mut result = Vec::new();
    let read = reader.read_to_end(&mut result);
    let status = fork::waitpid(copy)?;
    read?;
    if status != 0 {
        return Err(io::Error::other(format!("a copy of this process has ended with status {status}")));
    }
    Ok(serde_json::from_slice(&result)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_copy_changes_stays_with_it() {
        let mut numbers = vec![1, 2];
        let mut push = |number| {
            apart(|| {
                numbers.push(number);
                numbers.clone()
            })
        };
        assert_eq!(push(3).unwrap(), [1, 2, 3]);
        assert_eq!(push(4).unwrap(), [1, 2, 4]);
        assert_eq!(numbers, [1, 2]);
    }

    #[test]
    fn a_copy_that_panics_is_an_error() {
        assert!(apart(|| -> u32 { panic!("on purpose") }).is_err());
    }
}
