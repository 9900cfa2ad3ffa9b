import type { CompiledEvaluation } from '@tributary/onnx-train/compile-evaluation'
import { elementCount } from '@tributary/onnx-train/tensor'
import { BinaryCollector } from './binary-collector.ts'
import { ClassCollector, type ClassLabels } from './class-collector.ts'
import type { MetricCollector } from './metric-collector.ts'
import { RealCollector } from './real-collector.ts'

/**
 * What measures a model by its labels.
 * @param metrics those wanted beside the loss; what does not fit the labels is left out
 */
export const collectorFor = (
  { label, classes }: Pick<CompiledEvaluation, 'label' | 'classes'>,
  metrics: readonly string[],
  options: Pick<ClassLabels, 'ignored' | 'worstLoss'>,
): MetricCollector => {
  const wanted = (metric: string): boolean => metrics.includes(metric)
  const positions = elementCount(label.shape)
  switch (label.kind) {
    case 'class-index':
      return new ClassCollector({ classes, positions, ...options }, wanted)
    case 'binary':
      return new BinaryCollector(wanted)
    case 'real':
      return new RealCollector(positions, wanted)
  }
}
