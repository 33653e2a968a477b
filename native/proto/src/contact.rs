// SPDX-License-Identifier: Apache-2.0
//! How a member can be reached, and how one knows that it is the right one.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use barrel_p2p_base::limits::{MAX_ADDRESSES, MAX_CONTACTS};
use barrel_p2p_base::{DecodeError, Incarnation, NodeName, PublicKey, Reader, Writer};

/// Everything that is needed to dial a member. Shared, never changed: a member that moves gets a new one.
#[derive(Clone, PartialEq, Eq)]
pub struct Contact {
    /// Its name.
    pub name: NodeName,
    /// Which life of it.
    pub incarnation: Incarnation,
    /// Where to dial, best first; at most [`MAX_ADDRESSES`].
    pub addresses: Box<[SocketAddr]>,
    /// The key that it must prove to have.
    pub key: PublicKey,
}

impl Contact {
    /// Appends the bytes of it.
    pub fn write(&self, writer: &mut Writer) {
        debug_assert!(self.addresses.len() <= MAX_ADDRESSES);
        writer.short(self.name.as_str().as_bytes());
        writer.u64(self.incarnation.started_ms).u64(self.incarnation.random);
        writer.bytes(&self.key.0);
        let addresses = &self.addresses[..self.addresses.len().min(MAX_ADDRESSES)];
        writer.u8(addresses.len() as u8);
        for address in addresses {
            match address.ip() {
                IpAddr::V4(ip) => writer.u8(4).bytes(&ip.octets()),
                IpAddr::V6(ip) => writer.u8(6).bytes(&ip.octets()),
            };
            writer.u16(address.port());
        }
    }

    /// Reads what [`Contact::write`] has written.
    pub fn read(reader: &mut Reader<'_>) -> Result<Arc<Self>, DecodeError> {
        let offset = reader.offset();
        let name = NodeName::parse(reader.short()?).map_err(|_| DecodeError::BadValue { offset })?;
        let incarnation = Incarnation { started_ms: reader.u64()?, random: reader.u64()? };
        let key = PublicKey(reader.array()?);
        let count = read_count(reader, MAX_ADDRESSES)?;
        let addresses = (0..count).map(|_| read_address(reader)).collect::<Result<_, _>>()?;
        Ok(Arc::new(Self { name, incarnation, addresses, key }))
    }
}

impl fmt::Debug for Contact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}#{}", self.name, self.incarnation.started_ms)
    }
}

/// Appends a list of at most [`MAX_CONTACTS`].
pub fn write_contacts(contacts: &[Arc<Contact>], writer: &mut Writer) {
    debug_assert!(contacts.len() <= MAX_CONTACTS);
    let contacts = &contacts[..contacts.len().min(MAX_CONTACTS)];
    writer.u8(contacts.len() as u8);
    contacts.iter().for_each(|contact| contact.write(writer));
}

/// Reads what [`write_contacts`] has written.
pub fn read_contacts(reader: &mut Reader<'_>) -> Result<Vec<Arc<Contact>>, DecodeError> {
    let count = read_count(reader, MAX_CONTACTS)?;
    (0..count).map(|_| Contact::read(reader)).collect()
}

fn read_count(reader: &mut Reader<'_>, most: usize) -> Result<usize, DecodeError> {
    let offset = reader.offset();
    let count = usize::from(reader.u8()?);
    if count > most {
        return Err(DecodeError::BadValue { offset });
    }
    Ok(count)
}

fn read_address(reader: &mut Reader<'_>) -> Result<SocketAddr, DecodeError> {
    let offset = reader.offset();
    let ip = match reader.u8()? {
        4 => IpAddr::from(reader.array::<4>()?),
        6 => IpAddr::from(reader.array::<16>()?),
        _ => return Err(DecodeError::BadValue { offset }),
    };
    Ok(SocketAddr::new(ip, reader.u16()?))
}
