"""What a stream has delivered and how it goes on after a break: plans on values, shared by both clients."""
