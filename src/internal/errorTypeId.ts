/** What marks every error of this library, here so that errors of the lowest floor can carry it too. */
export const errorTypeId: ErrorTypeId = "~effect-beanstalk/BeanstalkError"

export type ErrorTypeId = "~effect-beanstalk/BeanstalkError"
