import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { TestAuthority } from './certificates.ts'
import { identityOf } from './federation.ts'
import { writeStripes } from './idx-files.ts'

/** Settings of an agent with an identity and data of its own below the folder. */
export const agentEnvironment = async (
  authority: TestAuthority,
  folder: string,
  node: string,
): Promise<Record<string, string>> => {
  const identity = await identityOf(authority)
  const dataDir = join(folder, 'data')
  await mkdir(dataDir)
  await writeStripes(dataDir, 1000)
  await writeFile(join(folder, 'cert.pem'), identity.certificate)
  await writeFile(join(folder, 'key.pem'), identity.key, { mode: 0o600 })
  await writeFile(join(folder, 'ca.pem'), identity.authority)
  return {
    AGENT_CERT_FILE: join(folder, 'cert.pem'),
    AGENT_KEY_FILE: join(folder, 'key.pem'),
    AUTHORITY_CERT_FILE: join(folder, 'ca.pem'),
    NODE_ENDPOINTS: node,
    // Nobody listens there: the broker only makes things faster.
    MQTT_URL: 'mqtts://localhost:9',
    DATA_DIR: dataDir,
    STATE_DIR: join(folder, 'state'),
    LOG_LEVEL: 'error',
  }
}
