import { resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { readListenAddress } from '../../../inference/http/listen-address.ts'
import { InferenceSettingsError, readToken } from '../../../inference/inference.ts'
import { InferenceError } from '../../../inference/inference-error.ts'
import { tensorJson } from '../../../inference/protocol/write-response.ts'
import { tensorFromNumbers } from '../../../inference/tensor-from-numbers.ts'
import { UsageError } from '../../usage-error.ts'
import { CommandError, type Surroundings } from '../agent-command.ts'
import { program } from '../program.ts'
import { DeployedFiles } from './deployed-files.ts'
import type { Predictor } from './predictor.ts'
import { type PredictInput, readInput } from './read-input.ts'
import { ServingAgent } from './serving-agent.ts'

const usage = `Asks a deployed model for predictions and prints the response as JSON.

  ${program} predict --input rows.json [options]

  --input file      rows of numbers: .json (nested lists), .npy, .csv; or a .json request of the Open Inference Protocol
  --model name      needed where several are deployed
  --url url         of an agent that serves; default INFERENCE_LISTEN
  --token-file f    its token, where it asks for one; default INFERENCE_TOKEN_FILE
  --state-dir d     of an agent that does not serve: the deployed files are used; default STATE_DIR
`

/** The command `predict`. Throws UsageError, CommandError. */
export const predict = async (line: readonly string[], { folder, environment, output, signal }: Surroundings) => {
  const given = readLine(line)
  if (given.help) {
    output.out(usage)
    return 0
  }
  if (given.input === undefined) throw new UsageError('predict needs --input')
  const input = await readInput(resolve(folder, given.input))
  const tokenFile = given['token-file'] ?? environment.INFERENCE_TOKEN_FILE
  const url = given.url ?? urlOf(environment.INFERENCE_LISTEN)
  const stateDir = given['state-dir'] ?? environment.STATE_DIR
  if (url === undefined && stateDir === undefined) {
    throw new UsageError('nothing says where models are deployed: give --url or --state-dir')
  }
  const places = {
    url,
    token: tokenFile === undefined ? undefined : await tokenIn(resolve(folder, tokenFile)),
    stateDir: stateDir === undefined ? undefined : resolve(folder, stateDir),
  }
  await using predictor = await open(places, given.model, signal)
  output.out(`${await predictor.infer(requestOf(input, predictor))}\n`)
  return 0
}

type Places = {
  readonly url?: string | undefined
  readonly token: string | undefined
  readonly stateDir?: string | undefined
}

/** The agent that serves, else the files that it would serve. */
const open = async ({ url, token, stateDir }: Places, model: string | undefined, signal: AbortSignal) => {
  if (url !== undefined) {
    const agent = new ServingAgent(url, token, signal)
    const served = await agent.models()
    if (served !== undefined) return await agent.open(chosen(model, served))
    if (stateDir === undefined) {
      throw new CommandError(`Nobody listens at ${url}. Start the agent, or give --state-dir to use its files.`)
    }
  }
  const files = await DeployedFiles.open(stateDir as string)
  return await files.open(chosen(model, files.models), signal)
}

const chosen = (wanted: string | undefined, there: readonly string[]): string => {
  if (wanted !== undefined) return wanted
  const [only] = there
  if (only === undefined) throw new CommandError('No model is deployed on this device yet.')
  if (there.length === 1) return only
  throw new UsageError(`several models are deployed (${there.slice(0, 8).join(', ')}): give --model`)
}

const requestOf = (input: PredictInput, { inputs }: Predictor): string => {
  if (input.kind === 'request') return input.json
  const [port] = inputs
  if (port === undefined || inputs.length !== 1) {
    const names = inputs.map(({ name }) => name).join(', ')
    throw new CommandError(`The model has ${inputs.length} inputs (${names}): give a request with "inputs" as JSON.`)
  }
  try {
    return `{"inputs":[${tensorJson(tensorFromNumbers(port, input.values, input.shape), false)}]}`
  } catch (error) {
    if (error instanceof InferenceError) throw new CommandError(error.message, { cause: error })
    throw error
  }
}

const tokenIn = async (file: string): Promise<string> => {
  try {
    return await readToken(file)
  } catch (error) {
    if (error instanceof InferenceSettingsError) throw new CommandError(error.message, { cause: error })
    throw error
  }
}

const urlOf = (listen: string | undefined): string | undefined => {
  const address = listen === undefined ? undefined : readListenAddress(listen)
  if (address === undefined) return undefined
  return `http://${address.host.includes(':') ? `[${address.host}]` : address.host}:${address.port}`
}

const readLine = (line: readonly string[]) => {
  try {
    return parseArgs({
      args: [...line],
      options: {
        input: { type: 'string' },
        model: { type: 'string' },
        url: { type: 'string' },
        'token-file': { type: 'string' },
        'state-dir': { type: 'string' },
        help: { type: 'boolean', short: 'h', default: false },
      },
      strict: true,
    }).values
  } catch (cause) {
    throw new UsageError((cause as Error).message.split('. ')[0] ?? 'wrong options', { cause })
  }
}
