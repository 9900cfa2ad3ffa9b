import { connect } from 'amqplib'
import { portAnswers } from '../../processes/ready.ts'

/** True when the broker takes an AMQP connection with these credentials and its management port, if it has one, answers. */
export async function rabbitAnswers(url: string, managementPort?: number): Promise<boolean> {
  const { hostname, port } = new URL(url)
  // Without a port the address is outside, where a refused connection is an answer too.
  if (hostname === '127.0.0.1' && port && !(await portAnswers(Number(port)))) return false
  const connection = await connect(url, { timeout: 5000 })
  connection.on('error', () => undefined)
  await connection.close()
  return managementPort === undefined || portAnswers(managementPort)
}
