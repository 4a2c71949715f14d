# frozen_string_literal: true

module TaskerCore
  # Handlers by the names that templates use.
  class Handlers
    def initialize
      @by_name = {}
    end

    def register(name, handler)
      name = name.to_s
      raise ArgumentError, 'a handler has a name' if name.empty?
      raise ArgumentError, "two handlers are named #{name.inspect}" if @by_name.key?(name)

      if name.start_with?('builtin.')
        raise ArgumentError, "the name #{name.inspect} is reserved: 'builtin.' begins those of built-in handlers"
      end

      @by_name[name] = checked(handler)
    end

    def names
      @by_name.keys
    end

    # Runs one attempt of the handler of this name.
    def call(name, step)
      handler = @by_name.fetch(name)
      (handler.is_a?(Class) ? handler.new : handler).call(step)
    end

    private

    def checked(handler)
      return handler if handler.respond_to?(:call)
      return handler if handler.is_a?(Class) && handler.method_defined?(:call)

      raise ArgumentError, "#{handler.inspect} is no handler: it has no method call(step)"
    end
  end
end
