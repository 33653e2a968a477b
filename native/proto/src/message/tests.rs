// SPDX-License-Identifier: Apache-2.0
use bytes::Bytes;

use super::*;

#[test]
fn a_frame_beyond_the_limit_is_refused_unread() {
    let frame = Bytes::from(vec![DIRECT; MAX_GOSSIP_BYTES + 1]);
    assert_eq!(Message::decode(&frame), Err(DecodeError::Trailing { offset: MAX_GOSSIP_BYTES }));
}
