// SPDX-License-Identifier: Apache-2.0
use super::*;

use x509_cert::der::{Encode, Tag, Tagged};
use x509_cert::ext::pkix::{BasicConstraints, ExtendedKeyUsage, KeyUsage};
use x509_cert::time::Time;

#[test]
fn a_generated_certificate_has_the_documented_form() {
    let parsed = parse(&generate(NOW_S, [0xff; 16]));
    let tbs = parsed.tbs_certificate();
    assert_eq!(tbs.subject().to_string(), "O=Barrel P2P,CN=node@host");
    assert_eq!(tbs.issuer(), tbs.subject());
    assert_eq!(tbs.validity().not_before.to_unix_duration().as_secs(), NOW_S - 300);
    assert_eq!(tbs.validity().not_after.to_unix_duration().as_secs(), NOW_S + 365 * 86_400);
    let mut serial = [0xff; 16];
    serial[0] = 0x7f;
    assert_eq!(tbs.serial_number().as_bytes(), serial);

    let (_, constraints) = tbs.get_extension::<BasicConstraints>().unwrap().unwrap();
    assert_eq!(constraints, BasicConstraints { ca: false, path_len_constraint: None });
    let (_, usage) = tbs.get_extension::<KeyUsage>().unwrap().unwrap();
    assert!(usage.digital_signature() && !usage.key_cert_sign() && !usage.key_agreement());
    let (_, extended) = tbs.get_extension::<ExtendedKeyUsage>().unwrap().unwrap();
    let names: Vec<_> = extended.0.iter().map(ToString::to_string).collect();
    assert_eq!(names, ["1.3.6.1.5.5.7.3.1", "1.3.6.1.5.5.7.3.2"]);
}

#[test]
fn serial_numbers_stay_positive_and_short() {
    for random in [[0x00; 16], [0x80; 16], [0xff; 16]] {
        let parsed = parse(&generate(NOW_S, random));
        let serial = parsed.tbs_certificate().serial_number().as_bytes().to_vec();
        assert!(serial.len() <= 16 && serial[0] < 0x80, "{serial:?}");
    }
}

/// RFC 5280, 4.1.2.5: UTCTime through 2049, GeneralizedTime from 2050 on.
#[test]
fn dates_from_2050_are_generalized() {
    let tags = |now_s| {
        let parsed = parse(&generate(now_s, [1; 16]));
        let validity = *parsed.tbs_certificate().validity();
        [validity.not_before, validity.not_after].map(|time: Time| time.tag())
    };
    assert_eq!(tags(NOW_S), [Tag::UtcTime, Tag::UtcTime]);
    assert_eq!(tags(START_OF_2050_S - 1), [Tag::UtcTime, Tag::GeneralizedTime]);
    assert_eq!(tags(START_OF_2050_S + 300), [Tag::GeneralizedTime, Tag::GeneralizedTime]);
}

#[test]
fn a_pair_survives_its_text() {
    let made = generate(NOW_S, [1; 16]);
    let read = Certificate::parse_pem(&made.cert_pem, &made.key_pem).unwrap();
    assert_eq!(read.cert_der, made.cert_der);
    assert_eq!(read.key_der, made.key_der);
    assert_eq!((&read.cert_pem, &*read.key_pem), (&made.cert_pem, &*made.key_pem));
}

#[test]
fn what_does_not_fit_is_refused_with_its_reason() {
    let one = generate(NOW_S, [1; 16]);
    let two = generate(NOW_S, [2; 16]);
    let reason = |cert: &str, key: &str| Certificate::parse_pem(cert, key).unwrap_err().to_string();
    assert_eq!(reason(&one.cert_pem, &two.key_pem), CertificateError::PairMismatch.to_string());
    assert_eq!(reason("", &one.key_pem), CertificateError::BadCertificate.to_string());
    assert_eq!(reason(&one.cert_pem, ""), CertificateError::BadKey.to_string());
    assert_eq!(reason(&one.key_pem, &one.cert_pem), CertificateError::BadCertificate.to_string());
}

#[test]
fn a_date_outside_the_calendar_is_an_error() {
    for now_s in [0x7fff_ffff_ffff_ffff, u64::MAX] {
        assert!(matches!(Certificate::generate("node@host", now_s, [1; 16]), Err(CertificateError::BadClock)));
    }
}

#[test]
fn our_certificates_are_due_thirty_days_before_they_expire() {
    let facts = CertificateFacts::from_pem(&generate(NOW_S, [1; 16]).cert_pem).unwrap();
    let expiry_s = NOW_S + 365 * 86_400;
    assert_eq!(facts, CertificateFacts { not_after_s: expiry_s, self_made: true });
    assert!(!facts.is_due(expiry_s - 30 * 86_400 - 1));
    assert!(facts.is_due(expiry_s - 30 * 86_400));
}

#[test]
fn formatting_shows_no_key() {
    let made = generate(NOW_S, [1; 16]);
    let shown = format!("{made:?}");
    assert!(!shown.contains("PRIVATE") && !shown.contains("key"), "{shown}");
}

const NOW_S: u64 = 1_800_000_000;
const START_OF_2050_S: u64 = 2_524_608_000;

fn generate(now_s: u64, random: [u8; 16]) -> Certificate {
    Certificate::generate("node@host", now_s, random).unwrap()
}

fn parse(certificate: &Certificate) -> x509_cert::Certificate {
    let parsed = x509_cert::Certificate::from_der(&certificate.cert_der).unwrap();
    assert_eq!(parsed.to_der().unwrap(), certificate.cert_der.as_ref());
    parsed
}
