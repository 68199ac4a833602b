//! Quantities: what is read, how it is written, how it compares.

use k8shost_types::quantity::{Quantity, QuantityError, normalize};
use proptest::prelude::*;

fn read(text: &str) -> Quantity {
    text.parse()
        .unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn normal(text: &str) -> String {
    let normal = normalize(text).unwrap_or_else(|error| panic!("{text}: {error}"));
    normal.unwrap_or_else(|| text.to_owned())
}

#[test]
fn canonical_forms() {
    for (text, expected) in [
        ("0", "0"),
        ("1", "1"),
        ("-1", "-1"),
        ("+1", "1"),
        ("100m", "100m"),
        ("1000m", "1"),
        ("0.5", "500m"),
        ("0.05", "50m"),
        ("1000", "1k"),
        ("1000k", "1M"),
        ("1500", "1500"),
        ("1024", "1024"),
        ("1024Ki", "1Mi"),
        ("1024Mi", "1Gi"),
        ("1000Ki", "1000Ki"),
        ("1.5Gi", "1536Mi"),
        ("0.5Mi", "512Ki"),
        ("2Gi", "2Gi"),
        ("1e3", "1e3"),
        ("1E3", "1e3"),
        ("1000e3", "1e6"),
        ("12e2", "1200"),
        ("0.1m", "100u"),
        ("0.0000000001", "1n"),
        ("1.0000000001", "1000000001n"),
        ("5E", "5E"),
        ("01", "1"),
        (".5", "500m"),
        ("1.", "1"),
    ] {
        assert_eq!(read(text).to_string(), expected, "{text}");
    }
}

#[test]
fn a_text_that_is_nearly_canonical_stays() {
    for (text, expected) in [
        ("1.500", "1.500"),
        ("100m", "100m"),
        ("1024Mi", "1Gi"),
        ("0.5", "500m"),
        ("1000", "1k"),
        ("1500m", "1500m"),
    ] {
        assert_eq!(normal(text), expected, "{text}");
    }
}

#[test]
fn what_is_no_quantity() {
    use QuantityError::{Format, Number, Suffix};
    for (text, expected) in [
        ("", Format),
        ("1i", Suffix),
        ("1Zi", Format),
        ("lots", Format),
        ("1 Gi", Format),
        ("--1", Suffix),
        ("1KiB", Format),
        ("1Mi1", Suffix),
        ("1e", Suffix),
        ("1k1", Suffix),
        ("1e99999999999", Number),
        ("9e99", Number),
    ] {
        assert_eq!(
            text.parse::<Quantity>().map(|q| q.to_string()),
            Err(expected),
            "{text}"
        );
    }
}

#[test]
fn order_and_arithmetic() {
    let ordered = [
        "-1Gi", "-1", "-1n", "0", "1n", "999u", "1m", "0.5", "1", "1001m", "1k", "1Ki", "1M",
        "1Mi", "1e9", "1Gi", "1E", "1Ei",
    ];
    for pair in ordered.windows(2) {
        assert!(read(pair[0]) < read(pair[1]), "{pair:?}");
    }
    assert_eq!(read("1Ki"), read("1024"));
    assert_eq!(read("1e3"), read("1k"));
    let sum = read("100m").plus(read("1"));
    assert_eq!(sum.to_string(), "1100m");
    assert_eq!(Quantity::ZERO.plus(read("1Gi")).to_string(), "1Gi");
    assert_eq!(read("1.5").value(), 2);
    assert_eq!(read("-1.5").value(), -2);
    assert_eq!(read("16E").value(), i64::MAX);
    assert_eq!(read("100u").round_up_to_milli().to_string(), "1m");
    assert!(read("4Mi").is_multiple_of(read("2Mi")));
    assert!(!read("3Mi").is_multiple_of(read("2Mi")));
    assert!(read("1k").is_integer() && !read("1m").is_integer());
    assert!(read("1m").is_milli() && !read("1u").is_milli());
}

fn quantity() -> impl Strategy<Value = String> {
    "[+-]?[0-9]{0,12}(\\.[0-9]{0,12})?([numkMGTPE]|[KMGTPE]i|[eE][+-]?[0-9]{1,2})?"
}

proptest! {
    #[test]
    fn no_text_is_too_odd(text in any::<String>()) {
        let _ = text.parse::<Quantity>();
    }

    #[test]
    fn a_quantity_is_read_back(text in quantity()) {
        if let Ok(one) = text.parse::<Quantity>() {
            let written = one.to_string();
            prop_assert_eq!(&read(&written), &one);
            prop_assert_eq!(read(&written).to_string(), written);
            let once = normal(&text);
            prop_assert_eq!(read(&once), one.round_up_to_milli());
            prop_assert_eq!(normal(&once), once);
        }
    }

    #[test]
    fn the_order_is_one(a in quantity(), b in quantity(), c in quantity()) {
        let read = |text: &str| text.parse::<Quantity>().ok();
        if let (Some(a), Some(b), Some(c)) = (read(&a), read(&b), read(&c)) {
            prop_assert_eq!(a.cmp(&b), b.cmp(&a).reverse());
            prop_assert_eq!(a == b, a.cmp(&b).is_eq());
            if a <= b && b <= c {
                prop_assert!(a <= c);
            }
            prop_assert_eq!(a.plus(b), b.plus(a));
            if b.is_positive() {
                prop_assert!(a.plus(b) >= a);
            }
        }
    }

    #[test]
    fn whole_numbers_are_themselves(a in any::<i32>(), b in any::<i32>()) {
        let (qa, qb) = (read(&a.to_string()), read(&b.to_string()));
        prop_assert_eq!(qa.value(), i64::from(a));
        prop_assert_eq!(qa.cmp(&qb), a.cmp(&b));
        prop_assert_eq!(qa.plus(qb).value(), i64::from(a) + i64::from(b));
    }

    #[test]
    fn rounding_goes_away_from_zero(text in quantity()) {
        if let Ok(one) = text.parse::<Quantity>() {
            let rounded = one.round_up_to_milli();
            prop_assert!(rounded.is_milli());
            let away = if one.is_negative() { rounded <= one } else { rounded >= one };
            prop_assert!(away, "{one} is {rounded}");
        }
    }
}
