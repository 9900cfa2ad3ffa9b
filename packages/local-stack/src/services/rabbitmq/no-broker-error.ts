/** Nothing on this machine can run the message broker; the stack ends with exit code 3. */
export class NoBrokerError extends Error {
  constructor(platform: NodeJS.Platform, attempts: readonly string[]) {
    const remedies = [
      "Debian or Ubuntu: nothing to do but reach Debian's packages over the network (they are unpacked without root)",
      'docker: start it, so that `docker info` answers',
      'Homebrew: brew install rabbitmq',
      'a RabbitMQ that runs elsewhere: TRIBUTARY_AMQP_URL=amqp://user:password@host:5672 (and TRIBUTARY_AMQP_MANAGEMENT_URL)',
      ...(platform === 'win32' ? ['Windows: install WSL2 with Debian or Ubuntu and start there'] : []),
    ]
    const tried = attempts.length === 0 ? '' : `\nTried:\n${attempts.map(attempt => `  - ${attempt}`).join('\n')}`
    super(
      `no way was found to run RabbitMQ, the message broker. Any of these helps:\n${remedies.map(remedy => `  - ${remedy}`).join('\n')}${tried}`,
    )
    this.name = 'NoBrokerError'
  }
}
