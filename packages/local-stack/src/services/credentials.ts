import { randomBytes, randomUUID } from 'node:crypto'
import { chmod, open, readFile, rename } from 'node:fs/promises'
import { join } from 'node:path'
import * as z from 'zod'

const secret = z.string().min(20)

/** Passwords and keys of one stack's services, made at its first start and kept in `credentials.json` (mode 0600). */
export const Credentials = z.object({
  postgresSuperuserPassword: secret,
  postgresPassword: secret,
  amqpUser: z.string(),
  amqpPassword: secret,
  erlangCookie: secret,
  redisPassword: secret,
  upstashToken: secret,
  awsAccessKeyId: z.string().min(16),
  awsSecretAccessKey: secret,
})
export type Credentials = z.infer<typeof Credentials>

/** Reads the stack's credentials, or makes them. */
export async function readOrCreateCredentials(state: string): Promise<Credentials> {
  const file = join(state, 'credentials.json')
  try {
    return Credentials.parse(JSON.parse(await readFile(file, 'utf8')))
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') {
      throw new Error(`${file} cannot be read; begin anew with npm start -- --fresh`, { cause: error })
    }
  }
  const word = () => randomBytes(24).toString('hex')
  const made: Credentials = {
    postgresSuperuserPassword: word(),
    postgresPassword: word(),
    amqpUser: 'tributary',
    amqpPassword: word(),
    erlangCookie: word(),
    redisPassword: word(),
    upstashToken: word(),
    awsAccessKeyId: `AKIA${randomBytes(8).toString('hex').toUpperCase()}`,
    awsSecretAccessKey: word(),
  }
  await writePrivately(file, JSON.stringify(made, undefined, 2))
  return made
}

/** Writes a file that only its owner may read, whole or not at all. */
export async function writePrivately(file: string, content: string): Promise<void> {
  const temporary = `${file}.${randomUUID()}`
  const handle = await open(temporary, 'wx', 0o600)
  try {
    await handle.writeFile(content)
    await handle.sync()
  } finally {
    await handle.close()
  }
  await chmod(temporary, 0o600)
  await rename(temporary, file)
}
