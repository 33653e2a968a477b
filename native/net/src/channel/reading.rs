// SPDX-License-Identifier: Apache-2.0
//! The receiving half of a channel's task: cuts what arrives on each lane into records and puts them into the inbox.

use super::copies::{Copy, Merge};
use super::framer::{Framer, Item};
use super::{Channel, Owner};
use crate::reason::Reason;
use barrel_p2p_base::CloseCode;
use barrel_p2p_dist::lanes::{Mark, LIGHT, MAX_LANES};
use bytes::Bytes;
use quinn::{Connection, ReadError, RecvStream};
use std::future::{poll_fn, Future};
use std::pin::pin;
use std::sync::atomic::Ordering;
use std::task::Poll;

/// Pieces (packets) taken from the stream in one read: about 90 KiB at the smallest MTU, so a batch is worth a message to the BEAM.
const READ_PIECES: usize = 64;

/// Fewer pieces are taken when they are large, to make this many bytes, and one piece more at the most. What is taken at once is made of
/// such batches.
const READ_BYTES: usize = 128 * 1024;

/// How a lane ended.
enum End {
    /// All that the peer wrote is here.
    Finished,
    /// The peer gave it up.
    GivenUp,
    Lost(Reason),
    Malformed,
}

const MALFORMED: Reason = Reason::Code(CloseCode::ProtocolError);

/// Reads the light lane to its end, and until all of it was given out: its last mark stands behind everything on the other lanes.
pub(super) async fn read_light(
    channel: &Channel,
    recv: &mut RecvStream,
    connection: &Connection,
    owner: &dyn Owner,
) -> Reason {
    match read(channel, LIGHT, recv, owner).await {
        End::Finished => tokio::select! {
            () = channel.until(|channel| channel.inbox().is_at_end()) => Reason::Closed,
            lost = connection.closed() => Reason::of_connection(&lost),
        },
        End::GivenUp => Reason::Closed,
        End::Lost(reason) => reason,
        End::Malformed => MALFORMED,
    }
}

/// Reads a lane that the peer has opened. The channel ends with it unless it ended in order; a lost link is for the light lane to tell, behind
/// what came before.
pub(super) async fn read_heavy(
    channel: &Channel,
    lane: usize,
    mut recv: RecvStream,
    owner: &dyn Owner,
) -> Option<Reason> {
    match read(channel, lane, &mut recv, owner).await {
        End::Finished | End::Lost(_) => None,
        End::GivenUp => Some(Reason::Closed),
        End::Malformed => Some(MALFORMED),
    }
}

async fn read(channel: &Channel, lane: usize, recv: &mut RecvStream, owner: &dyn Owner) -> End {
    let mut framer = Framer::new(channel.kind.max_frame_bytes());
    let mut pieces = vec![Bytes::new(); READ_PIECES];
    let mut largest = 1;
    let mut merge = Merge::default();
    loop {
        if !channel.inbox().has_room(lane) {
            channel.tell_owner(owner);
            channel.until(|channel| channel.inbox().has_room(lane)).await;
        }
        let most = (READ_BYTES / largest + 1).min(READ_PIECES);
        let came = {
            // The owner is told of what came when nothing more is there: each time costs a wake of its thread.
            let mut read = pin!(recv.read_chunks(&mut pieces[..most]));
            poll_fn(|context| {
                if let Poll::Ready(read) = read.as_mut().poll(context) {
                    return Poll::Ready(Came::Stream(read));
                }
                // Behind the stream, since a copy follows what the stream has brought.
                if lane == LIGHT {
                    if let Some(copy) = channel.copies().next(context.waker()) {
                        return Poll::Ready(Came::Copy(copy));
                    }
                }
                channel.tell_owner(owner);
                Poll::Pending
            })
            .await
        };
        let count = match came {
            Came::Stream(Ok(Some(count))) => {
                for piece in &mut pieces[..count] {
                    largest = largest.max(piece.len());
                    *piece = merge.stream(std::mem::take(piece));
                }
                count
            }
            Came::Copy(copy) => {
                pieces[0] = merge.copy(copy).unwrap_or_default();
                1
            }
            Came::Stream(Ok(None)) => {
                channel.tell_owner(owner);
                return End::Finished;
            }
            Came::Stream(Err(ReadError::ConnectionLost(lost))) => {
                channel.tell_owner(owner);
                return End::Lost(Reason::of_connection(&lost));
            }
            // The peer resets a lane when its controller died or gave up.
            Came::Stream(Err(_)) => return End::GivenUp,
        };
        for piece in &mut pieces[..count] {
            if framer.push(std::mem::take(piece)).is_err() {
                return End::Malformed;
            }
        }
        for item in framer.take() {
            if take_in(channel, lane, item, owner).is_err() {
                return End::Malformed;
            }
        }
    }
}

/// What there is to read.
enum Came {
    Stream(Result<Option<usize>, ReadError>),
    Copy(Copy),
}

/// Not what a peer with lanes says.
struct Nonsense;

fn take_in(channel: &Channel, lane: usize, item: Item, owner: &dyn Owner) -> Result<(), Nonsense> {
    match &item {
        Item::Frames(batch) => {
            channel.received.fetch_add(batch.frames, Ordering::Relaxed);
            channel.received_ticks.fetch_add(batch.ticks, Ordering::Relaxed);
        }
        Item::Wait(marks) if names_lanes(marks) => {}
        Item::Delivered(marks) if lane == LIGHT => {
            if channel.outbox().delivered(marks).map_err(|_| Nonsense)? {
                owner.writable();
            }
        }
        Item::Wait(_) | Item::Delivered(_) => return Err(Nonsense),
    }
    channel.inbox().push(lane, item);
    Ok(())
}

fn names_lanes(marks: &[Mark]) -> bool {
    marks.iter().all(|mark| mark.lane < MAX_LANES)
}
