# frozen_string_literal: true

require_relative 'lib/tasker_core/version'

Gem::Specification.new do |spec|
  spec.name = 'tasker_core'
  spec.version = TaskerCore::VERSION
  spec.summary = 'Handlers for Tasker workflows in Ruby, on PostgreSQL alone'
  spec.description = 'Runs step handlers in Ruby threads on the worker runtime of Tasker, which is in Rust.'
  spec.authors = ['The Tasker developers']
  spec.homepage = 'https://github.com/tasker-systems/tasker'
  spec.licenses = ['MIT', 'Apache-2.0']
  spec.required_ruby_version = '>= 3.1'
  spec.metadata['rubygems_mfa_required'] = 'true'

  # Built by the Rakefile, in a folder that has the crates of the native part as well.
  spec.files = Dir['**/*', base: __dir__].reject { |file| File.directory?(File.join(__dir__, file)) }
  spec.bindir = 'exe'
  spec.executables = ['tasker-worker']
  spec.extensions = ['ext/tasker_core/extconf.rb']
end
