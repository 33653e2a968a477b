// SPDX-License-Identifier: Apache-2.0
use std::cell::Cell;
thread_local! { static VISITS: Cell<usize> = const { Cell::new(0) }; }
pub(super) fn count_visit() {
    VISITS.set(VISITS.get() + 1);
}
