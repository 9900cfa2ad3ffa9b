import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { InvokeCommand, LambdaClient } from '@aws-sdk/client-lambda'
import { apiFunctions } from '@tributary/contracts/routes/route'
import * as z from 'zod'
import { type OwnedProcess, spawnOwned } from '../processes/owned-process.ts'
import { type ApiTokens, apiTokenHashes } from './api-tokens.ts'
import { functionEnvironment } from './environments.ts'
import type { PlatformSetting } from './platform-setting.ts'

/** Serves the functions behind the API and Invoke endpoints, and migrates the database. */
export const startControlPlane = async (
  setting: Pick<PlatformSetting, 'folders' | 'ports' | 'services' | 'watchdog' | 'report' | 'signal' | 'root'> & {
    tokens: ApiTokens
    /** Holds the bundles. @default where they are built */
    bundles?: string
  },
): Promise<OwnedProcess> => {
  const { folders, ports, services, watchdog, report, signal, root, tokens } = setting
  const temporary = join(folders.state, 'lambda')
  await mkdir(temporary, { recursive: true, mode: 0o700 })
  const lambdaUrl = `http://127.0.0.1:${ports.lambda}`
  const runner = await spawnOwned({
    name: 'Lambda runner',
    command: process.execPath,
    args: [join(root, 'packages', 'local-stack', 'src', 'lambda', 'lambda-runner.main.ts')],
    env: {
      PATH: '/usr/bin:/bin',
      NODE_NO_WARNINGS: '1',
      BUNDLES_DIR: setting.bundles ?? join(root, 'functions', 'dist'),
      LOG_DIR: join(folders.logs, 'functions'),
      TEMP_DIR: temporary,
      API_LISTEN: `127.0.0.1:${ports.api}`,
      INVOKE_LISTEN: `127.0.0.1:${ports.lambda}`,
      AWS_REGION: services.aws.region,
      AWS_ACCESS_KEY_ID: services.aws.accessKeyId,
      AWS_SECRET_ACCESS_KEY: services.aws.secretAccessKey,
      AMQP_URL: services.rabbit.url,
      FUNCTION_ENVIRONMENT: JSON.stringify(
        functionEnvironment(services, { lambdaUrl, apiTokens: apiTokenHashes(tokens) }),
      ),
      PREWARM: [...apiFunctions, 'relay', 'events', 'merge'].join(','),
    },
    logFile: join(folders.logs, 'lambda-runner.log'),
    ready: { check: async check => (await fetch(`${lambdaUrl}/healthz`, { signal: check })).ok },
    graceSeconds: 5,
    restart: 'on-failure',
    watchdog,
    signal,
    onUnexpectedExit: (_, message) => report({ kind: 'ended', service: 'Lambda runner', message }),
  })
  try {
    await migrateDatabase(lambdaUrl, services.aws)
  } catch (error) {
    await runner.stop()
    throw error
  }
  return runner
}

const FunctionFault = z.object({ errorMessage: z.string() })

/** As a deployment does it: by the function that is there for it. */
const migrateDatabase = async (
  endpoint: string,
  { region, accessKeyId, secretAccessKey }: PlatformSetting['services']['aws'],
): Promise<void> => {
  const client = new LambdaClient({ endpoint, region, credentials: { accessKeyId, secretAccessKey }, maxAttempts: 5 })
  try {
    const answer = await client.send(new InvokeCommand({ FunctionName: 'migrate' }))
    if (answer.FunctionError === undefined) return
    const { errorMessage } = FunctionFault.catch({ errorMessage: answer.FunctionError }).parse(
      JSON.parse(answer.Payload?.transformToString() ?? '{}'),
    )
    throw new Error(`the database could not be migrated: ${errorMessage}. To begin anew: npm start -- --fresh`)
  } finally {
    client.destroy()
  }
}
