//! Tests of the pages are here.
