/**
 * The property that marks every error of this library. It has a module of its own because `Job`, which `BeanstalkError`
 * imports, has an error too.
 */
export const errorTypeId: ErrorTypeId = "~effect-beanstalk/BeanstalkError"

export type ErrorTypeId = "~effect-beanstalk/BeanstalkError"
