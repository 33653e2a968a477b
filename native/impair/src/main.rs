// SPDX-License-Identifier: Apache-2.0
//! Two TUN interfaces with a bad path between them, for two network namespaces on one machine.
//!
//! `impair NAME NAME` makes the interfaces (as root) and says `ready`. Whoever started it moves them to their namespaces and gives them
//! addresses. Lines on standard input steer it, each answered by one line; the end of the input ends it.
//!
//! - `path delay_us=N loss=F rate=BYTES_PER_S buffer=BYTES reorder=F duplicate=F seed=N`: a new path in both directions. What is left out is
//!   as on a perfect path. Answer: `ok`.
//! - `counters`: packets since the path is new, from the first to the second and back. Answer: `offered overflowed lost offered overflowed lost`.

mod tun;

use barrel_p2p_impair::{Path, Settings};
use rustix::event::{poll, PollFd, PollFlags, Timespec};
use std::fs::File;
use std::io::{self, BufRead, ErrorKind, Read, Write};
use std::sync::mpsc::{channel, Receiver};
use std::time::{Duration, Instant};

/// An IP packet as large as the interfaces carry, and more.
const PACKET_BYTES: usize = 4096;

/// Packets taken from one side, or given to it, before the other has its turn.
const TURN: usize = 64;

struct Side {
    interface: File,
    /// To the other side.
    path: Path<Vec<u8>>,
}

fn main() -> io::Result<()> {
    let names: Vec<_> = std::env::args().skip(1).collect();
    let [first, second] = names.as_slice() else {
        eprintln!("usage: impair INTERFACE INTERFACE");
        std::process::exit(2);
    };
    let side = |name: &str| {
        Ok::<_, io::Error>(Side { interface: tun::create(name)?, path: Path::new(Settings::default(), 0) })
    };
    let mut sides = [side(first)?, side(second)?];
    let (wake, woken) = io::pipe()?;
    let commands = commands(woken);
    println!("ready");
    let start = Instant::now();
    loop {
        let now = start.elapsed();
        let next = sides.iter().filter_map(|side| side.path.next_arrival()).min();
        wait(&sides, &wake, next.map(|at| at.saturating_sub(now)))?;
        for index in 0..2 {
            take(&mut sides[index], start)?;
            hand_over(&mut sides, index, start.elapsed())?;
        }
        while let Ok(command) = commands.try_recv() {
            match command {
                None => return Ok(()),
                Some(line) => println!("{}", obey(&mut sides, &line)),
            }
            (&wake).read_exact(&mut [0])?;
        }
    }
}

/// Lines of standard input, and `None` at its end. Each also makes the pipe readable.
fn commands(mut wake: io::PipeWriter) -> Receiver<Option<String>> {
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        for line in io::stdin().lock().lines().map_while(Result::ok).map(Some).chain([None]) {
            if sender.send(line).is_err() || wake.write_all(&[0]).is_err() {
                return;
            }
        }
    });
    receiver
}

fn wait(sides: &[Side; 2], wake: &io::PipeReader, timeout: Option<Duration>) -> io::Result<()> {
    let timeout =
        timeout.map(|left| Timespec { tv_sec: left.as_secs() as i64, tv_nsec: i64::from(left.subsec_nanos()) });
    let mut watched = [
        PollFd::new(&sides[0].interface, PollFlags::IN),
        PollFd::new(&sides[1].interface, PollFlags::IN),
        PollFd::new(wake, PollFlags::IN),
    ];
    match poll(&mut watched, timeout.as_ref()) {
        Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

fn take(side: &mut Side, start: Instant) -> io::Result<()> {
    let mut packet = [0; PACKET_BYTES];
    for _ in 0..TURN {
        match side.interface.read(&mut packet) {
            Ok(length) => side.path.offer(start.elapsed(), length as u64, packet[..length].to_vec()),
            Err(error) if error.kind() == ErrorKind::WouldBlock => break,
            // Not up yet.
            Err(error) if error.raw_os_error() == Some(libc::EIO) => break,
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Gives what has arrived from one side to the other. A kernel that does not take a packet loses it, as on a real wire.
fn hand_over(sides: &mut [Side; 2], from: usize, now: Duration) -> io::Result<()> {
    let (first, second) = sides.split_at_mut(1);
    let (sender, receiver) = if from == 0 { (&mut first[0], &mut second[0]) } else { (&mut second[0], &mut first[0]) };
    for _ in 0..TURN {
        let Some(packet) = sender.path.arrived(now) else { break };
        match receiver.interface.write(&packet) {
            Ok(_) => {}
            Err(error) if matches!(error.raw_os_error(), Some(libc::EIO | libc::EAGAIN | libc::ENOBUFS)) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn obey(sides: &mut [Side; 2], line: &str) -> String {
    let mut words = line.split_whitespace();
    match words.next() {
        Some("counters") => {
            let counters = sides.iter().map(|side| {
                let counters = side.path.counters();
                format!("{} {} {}", counters.offered, counters.overflowed, counters.lost)
            });
            counters.collect::<Vec<_>>().join(" ")
        }
        Some("path") => match settings(words) {
            Some((settings, seed)) => {
                for (side, seed) in sides.iter_mut().zip([seed, seed + 1]) {
                    side.path = Path::new(settings, seed);
                }
                "ok".to_owned()
            }
            None => "bad path".to_owned(),
        },
        _ => "bad command".to_owned(),
    }
}

fn settings<'a>(words: impl Iterator<Item = &'a str>) -> Option<(Settings, u64)> {
    let mut settings = Settings::default();
    let mut seed = 0;
    for word in words {
        let (key, value) = word.split_once('=')?;
        match key {
            "delay_us" => settings.delay = Duration::from_micros(value.parse().ok()?),
            "loss" => settings.loss = value.parse().ok()?,
            "rate" => settings.rate = Some(value.parse().ok()?),
            "buffer" => settings.buffer = value.parse().ok()?,
            "reorder" => settings.reorder = value.parse().ok()?,
            "duplicate" => settings.duplicate = value.parse().ok()?,
            "seed" => seed = value.parse().ok()?,
            _ => return None,
        }
    }
    Some((settings, seed))
}
