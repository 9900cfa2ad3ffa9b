import { Histogram, PrometheusPage } from '@tributary/contracts/prometheus-page'
import type { DeployedModel } from '../deployments/deployed-model.ts'
import type { InferenceErrorCode } from './inference-error.ts'
import type { ServedModel } from './served-model.ts'

const secondsBounds = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30]
const batchBounds = [1, 2, 4, 8, 16, 32, 64, 128]

type ModelNumbers = {
  requests: number
  /** By code. */
  readonly failures: Map<string, number>
  readonly seconds: Histogram
  readonly batch: Histogram
  readonly runSeconds: Histogram
  swaps: number
}

/** Numbers of what is served, by model. Only names of deployed models become labels, never what clients send. */
export class InferenceMetrics {
  readonly #models = new Map<string, ModelNumbers>()
  readonly #refusals = new Map<string, number>()

  /** A version came into service. */
  swapped({ modelName }: DeployedModel): void {
    this.#of(modelName).swaps += 1
  }

  /** A request was answered with tensors, or not. */
  answered(modelName: string, seconds: number, failure?: InferenceErrorCode): void {
    const numbers = this.#of(modelName)
    numbers.requests += 1
    numbers.seconds.observe(seconds)
    if (failure !== undefined) numbers.failures.set(failure, (numbers.failures.get(failure) ?? 0) + 1)
  }

  /** A request was refused before it reached a model. */
  refused(code: InferenceErrorCode): void {
    this.#refusals.set(code, (this.#refusals.get(code) ?? 0) + 1)
  }

  /** What a version in service tells of its runs. */
  runsOf({ modelName }: DeployedModel): (run: { readonly requests: number; readonly seconds: number }) => void {
    const { batch, runSeconds } = this.#of(modelName)
    return ({ requests, seconds }) => {
      batch.observe(requests)
      runSeconds.observe(seconds)
    }
  }

  /** The page that `GET /metrics` answers with. */
  page(served: readonly ServedModel[]): string {
    const page = new PrometheusPage()
    const models = [...this.#models]
    page.metric('tributary_inference_requests_total', 'counter', 'Inference requests that reached a model.')
    for (const [model, { requests }] of models) page.sample('tributary_inference_requests_total', { model }, requests)
    page.metric(
      'tributary_inference_failures_total',
      'counter',
      'Inference requests that were not answered with tensors.',
    )
    for (const [model, { failures }] of models) {
      for (const [code, count] of failures) page.sample('tributary_inference_failures_total', { model, code }, count)
    }
    for (const [code, count] of this.#refusals)
      page.sample('tributary_inference_failures_total', { model: '', code }, count)
    page.metric('tributary_inference_request_seconds', 'histogram', 'From the head of a request to its answer.')
    for (const [model, { seconds }] of models) seconds.write(page, 'tributary_inference_request_seconds', { model })
    page.metric('tributary_inference_run_seconds', 'histogram', 'Time in the runtime.')
    for (const [model, { runSeconds }] of models) runSeconds.write(page, 'tributary_inference_run_seconds', { model })
    page.metric('tributary_inference_batch_requests', 'histogram', 'Requests that ran together.')
    for (const [model, { batch }] of models) batch.write(page, 'tributary_inference_batch_requests', { model })
    page.metric('tributary_inference_swaps_total', 'counter', 'Versions that came into service.')
    for (const [model, { swaps }] of models) page.sample('tributary_inference_swaps_total', { model }, swaps)
    const gauges: [string, string, (model: ServedModel) => number][] = [
      ['tributary_inference_version', 'Number of the version in service.', ({ deployed }) => deployed.versionNumber],
      ['tributary_inference_queue_length', 'Requests that wait.', ({ version }) => version.waiting],
      ['tributary_inference_running', 'Runs that are with the process.', ({ version }) => version.running],
      [
        'tributary_inference_loaded',
        'Whether the process of the version runs.',
        ({ version }) => Number(version.loaded),
      ],
    ]
    for (const [name, help, read] of gauges) {
      page.metric(name, 'gauge', help)
      for (const model of served) page.sample(name, { model: model.deployed.modelName }, read(model))
    }
    return page.toString()
  }

  #of(modelName: string): ModelNumbers {
    let numbers = this.#models.get(modelName)
    if (numbers === undefined) {
      numbers = {
        requests: 0,
        failures: new Map(),
        seconds: new Histogram(secondsBounds),
        batch: new Histogram(batchBounds),
        runSeconds: new Histogram(secondsBounds),
        swaps: 0,
      }
      this.#models.set(modelName, numbers)
    }
    return numbers
  }
}
