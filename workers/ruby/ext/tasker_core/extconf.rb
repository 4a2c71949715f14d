# frozen_string_literal: true

# Writes the Makefile with which `gem install` builds the native part: cargo does the work. Rust has to
# be there, and libclang, with which Ruby's headers are read.

require 'rbconfig'

abort <<~TEXT unless system('cargo', '--version', out: File::NULL, err: File::NULL)
  tasker_core: cargo is missing. Install Rust (see rustup.rs), or a gem that is built for this platform.
TEXT

library = "libtasker_core.#{RbConfig::CONFIG['SOEXT']}"
extension = "tasker_core.#{RbConfig::CONFIG['DLEXT']}"

# RubyGems passes where to install as arguments of make. What cargo leaves is some hundred megabytes,
# and goes when the library is installed; CARGO_TARGET_DIR keeps it elsewhere.
File.write('Makefile', <<~MAKEFILE)
  sitearchdir = #{RbConfig::CONFIG['sitearchdir']}
  TARGET = $(or $(CARGO_TARGET_DIR),$(CURDIR)/target)
  export RUBY = #{RbConfig.ruby}
  export CARGO_PROFILE_RELEASE_STRIP = symbols
  export CARGO_PROFILE_RELEASE_DEBUG = none

  all: #{extension}

  #{extension}:
  \tcargo build --release --locked --manifest-path "#{__dir__}/Cargo.toml" --target-dir "$(TARGET)"
  \tcp "$(TARGET)/release/#{library}" $@

  install: all
  \tmkdir -p "$(DESTDIR)$(sitearchdir)/tasker_core"
  \tcp #{extension} "$(DESTDIR)$(sitearchdir)/tasker_core/"
  \trm -rf "$(CURDIR)/target" #{extension}

  clean:
  \trm -rf "$(CURDIR)/target" #{extension}

  .PHONY: all install clean
MAKEFILE
