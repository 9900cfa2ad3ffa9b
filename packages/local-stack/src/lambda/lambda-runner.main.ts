import { functionSpecs } from '@tributary/contracts/functions'
import { aborted, endWithParent } from '../processes/end-with-parent.ts'
import { readLambdaRunnerConfig } from './config.ts'
import { startLambdaRunner } from './runner.ts'

const life = endWithParent()
try {
  await using runner = await startLambdaRunner({
    ...readLambdaRunnerConfig(),
    specs: functionSpecs,
    onTrouble: message => console.error(message),
  })
  console.log(`HTTP API on port ${runner.apiPort}, Invoke API on port ${runner.invokePort}`)
  void runner.ready.then(() => console.log('Lambda runner ready'))
  await aborted(life)
} catch (error) {
  console.error(error)
  process.exitCode = 1
  process.stdin.destroy()
}
