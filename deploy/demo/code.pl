#!/usr/bin/env perl
# The present one-time code (RFC 6238) of the secret in an otpauth address, for the demonstration: people use an app.
#
#   code.pl ADDRESS
use strict;
use warnings;
use Digest::SHA qw(hmac_sha1);

my ($secret) = ($ARGV[0] // '') =~ /secret=([A-Z2-7]+)/ or die "usage: code.pl otpauth://…\n";
my %value;
@value{'A' .. 'Z', '2' .. '7'} = 0 .. 31;
my $bits = join '', map { sprintf '%05b', $value{$_} } split //, $secret;
my $key = pack 'B*', substr $bits, 0, 8 * int(length($bits) / 8);
my $digest = hmac_sha1(pack('Q>', int(time / 30)), $key);
my $offset = ord(substr $digest, -1) & 15;
printf "%06d\n", (unpack('N', substr $digest, $offset, 4) & 0x7fffffff) % 1_000_000;
