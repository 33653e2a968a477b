// SPDX-License-Identifier: Apache-2.0
//! The stores of this VM, which outlive gossip and every owner.

use crate::hlc;
use barrel_p2p_node::stores::Stores;
use std::sync::{Arc, LazyLock};

static STORES: LazyLock<Arc<Stores>> = LazyLock::new(|| Arc::new(Stores::new(hlc::clock())));

pub(crate) fn all() -> Arc<Stores> {
    STORES.clone()
}
